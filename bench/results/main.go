//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/seed004e8d11/websock/bench/loopback"
)

func main() {
	loopback.Main()
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// An extent is how much is measured.
type extent struct {
	benchmarks string        // in memory, a regular expression
	time       time.Duration // of each
	rounds     int
	timing     loopback.Timing
	cases      func(loopback.Case) bool
	turns      int // of each contestant over loopback
}

var extents = map[bool]extent{
	true: {
		benchmarks: "^Benchmark(Receive|Send|Reply)$/size=(125|65536)$",
		time:       10 * time.Millisecond,
		rounds:     5,
		timing:     loopback.Timing{Warmup: 50 * time.Millisecond, Window: 150 * time.Millisecond},
		cases:      func(c loopback.Case) bool { return !c.Long },
		turns:      2,
	},
	false: {
		benchmarks: "^Benchmark(Receive|ReceiveText|Reply|Send|CompressedReceive|CompressedReply|ParseHeader|AppendHeader|Mask)$",
		time:       20 * time.Millisecond,
		rounds:     5,
		timing:     loopback.Timing{Warmup: 200 * time.Millisecond, Window: 500 * time.Millisecond},
		cases:      func(loopback.Case) bool { return true },
		turns:      3,
	},
}

func run(args []string) error {
	flags := flag.NewFlagSet("results", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "run a part, in less than three minutes; write only the raw output")
	raw := flags.String("raw", filepath.Join(os.TempDir(), "websock-bench.txt"), "`file` for the output of go test -bench")
	out := flags.String("o", "RESULTS.md", "`file` for the results, with a directory charts beside it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	e := extents[*quick]
	inMemory, err := measureInMemory(e, *raw)
	if err != nil {
		return err
	}
	overLoopback, err := measureOverLoopback(e)
	if err != nil || *quick {
		return err
	}
	if err := drawCharts(filepath.Join(filepath.Dir(*out), "charts"), inMemory, overLoopback); err != nil {
		return err
	}
	return writeResults(*out, e, inMemory, overLoopback)
}
