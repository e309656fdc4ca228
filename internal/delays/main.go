package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("delays: ")
	race := flag.Bool("race", false, "with the race detector")
	seeds := flag.String("seeds", "1-20", "a number, or a `range` of them")
	flag.Parse()
	first, last, err := parseSeeds(*seeds)
	if err != nil || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	failed, err := run(os.Stdout, flag.Arg(0), *race, first, last, flag.Args()[1:])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d of %d seeds failed\n", failed, last-first+1)
	if failed > 0 {
		os.Exit(1)
	}
}

// parseSeeds parses "3-7" or "3". Seeds start at 1.
func parseSeeds(s string) (first, last int32, err error) {
	from, to, isRange := strings.Cut(s, "-")
	if !isRange {
		to = from
	}
	a, err := strconv.ParseInt(from, 10, 32)
	if err != nil {
		return 0, 0, err
	}
	b, err := strconv.ParseInt(to, 10, 32)
	if err == nil && (a < 1 || b < a) {
		err = fmt.Errorf("%d to %d are no seeds", a, b)
	}
	return int32(a), int32(b), err
}

// run builds the test binary of the package in dir and runs it with each seed. It writes the output of
// the runs that failed to out, and returns their number.
func run(out io.Writer, dir string, race bool, first, last int32, args []string) (failed int, err error) {
	work, err := os.MkdirTemp("", "websock-delays")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(work)
	binary := filepath.Join(work, "delays.test")
	if err := build(binary, work, dir, race); err != nil {
		return 0, err
	}
	for seed := first; seed <= last; seed++ {
		test := exec.Command(binary, append([]string{fmt.Sprintf("-test.shuffle=%d", seed)}, args...)...)
		test.Dir = dir
		test.Env = append(os.Environ(), fmt.Sprintf("DELAYS_SEED=%d", seed))
		output, err := test.CombinedOutput()
		if err != nil {
			failed++
			fmt.Fprintf(out, "seed %d: %v\n%s", seed, err, output)
		}
	}
	return failed, nil
}

// build compiles the test binary of the package in dir with delays.
func build(binary, work, dir string, race bool) error {
	src, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return err
	}
	overlay, err := writeOverlay(work, filepath.Join(string(bytes.TrimSpace(src)), "src"))
	if err != nil {
		return err
	}
	// A profile would compile the standard library once more.
	compile := exec.Command("go", "test", "-c", "-pgo=off", "-overlay", overlay, "-o", binary, fmt.Sprintf("-race=%t", race), ".")
	compile.Dir = dir
	if output, err := compile.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}
