//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed004e8d11/websock/bench/loopback"
)

func main() {
	loopback.Main()
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// chartsOnly is the value of -only with which nothing is measured.
const chartsOnly = "charts"

func run(args []string) error {
	flags := flag.NewFlagSet("results", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "measure a little, in about three minutes; write only the raw figures")
	only := flags.String("only", "", "`parts` to measure, separated by commas: memory, loopback, http2, servers; or charts: measure nothing. All if empty")
	raw := flags.String("raw", filepath.Join(os.TempDir(), "websock-bench"), "`directory` for the raw figures, a file for each part")
	others := flags.String("others", "others/bin", "`directory` with clients and servers in other languages, which take part; none if empty")
	out := flags.String("o", "RESULTS.md", "`file` for the results, with a directory charts beside it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(*raw, 0o755); err != nil {
		return err
	}
	for _, p := range chosen {
		if err := p.measure(extents[*quick], *raw, *others); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if *quick {
		return nil
	}
	return publish(*raw, *out)
}

// choose returns the parts of a list of names.
func choose(only string) (chosen []part, err error) {
	switch only {
	case "":
		return parts, nil
	case chartsOnly:
		return nil, nil
	}
	for name := range strings.SplitSeq(only, ",") {
		at := slices.IndexFunc(parts, func(p part) bool { return p.name == name })
		if at < 0 {
			return nil, fmt.Errorf("no part is called %q", name)
		}
		chosen = append(chosen, parts[at])
	}
	return chosen, nil
}

// publish writes the document and the charts from the raw figures of all parts.
func publish(raw, out string) error {
	var measured []measurement
	for _, p := range parts {
		m, err := p.read(raw)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		measured = append(measured, m)
	}
	if err := drawCharts(filepath.Join(filepath.Dir(out), "charts"), measured); err != nil {
		return err
	}
	return os.WriteFile(out, document(measured), 0o644)
}
