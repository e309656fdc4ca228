package main

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/seed004e8d11/websock/cmd/websock/internal/compare"
)

type compareCommand struct {
	stdio
	judging *compare.Judging // nil: without -fail-above
	keys    []string
	json    bool
}

func newCompareCommand(s stdio) *ffcli.Command {
	c := &compareCommand{stdio: s}
	fs := s.flagSet("compare")
	fs.Func("fail-above", "exit code 7 if a figure is worse by more than this `percentage`, like 10%", func(text string) error {
		percent, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
		if err != nil || !(percent >= 0 && percent < 1e9) { // also refuses NaN
			return errors.New("it is a percentage, like 10%")
		}
		c.judging = &compare.Judging{Above: percent}
		return nil
	})
	fs.Func("figures", "with -fail-above, the `figures` that may not be worse, as in -json, separated by commas (default: those that vary little between runs)", func(list string) error {
		for key := range strings.SplitSeq(list, ",") {
			key = strings.TrimSpace(key)
			if err := compare.CheckFigure(key); err != nil {
				return err
			}
			c.keys = append(c.keys, key)
		}
		return nil
	})
	fs.BoolVar(&c.json, "json", false, "print a JSON object, not a table")
	return &ffcli.Command{
		Name:       "compare",
		ShortUsage: "websock compare [flags] <before> <after>",
		ShortHelp:  "compare the results of two runs",
		LongHelp: "Each is a file with what fanout -json printed, or - for standard input. The figures that\n" +
			"vary little are connections, messages_per_second, unsent, errors_total, cpu_us_per_message,\n" +
			"bytes_per_connection, and the percentiles of latency_us and one_way_us up to p99.",
		FlagSet: fs,
		Exec:    c.exec,
	}
}

func (c *compareCommand) exec(_ context.Context, args []string) error {
	switch {
	case len(args) != 2:
		return c.usageError("compare takes two files, after the flags, but there are %d: %q", len(args), args)
	case args[0] == standardStream && args[1] == standardStream:
		return c.usageError("standard input has one result only")
	case len(c.keys) > 0 && c.judging == nil:
		return c.usageError("-figures needs -fail-above")
	}
	var runs [2]compare.Summary
	for i, name := range args {
		var err error
		if runs[i], err = c.read(name); err != nil {
			return err
		}
	}
	if c.judging != nil {
		c.judging.Keys = c.keys
	}
	comparison := compare.Compare(runs[0], runs[1], c.judging)
	write := comparison.WriteTable
	if c.json {
		write = comparison.WriteJSON
	}
	if err := write(c.Out); err != nil {
		return err
	}
	if comparison.Worse {
		return exitThreshold
	}
	return nil
}

// read reads the result in a file.
func (c *compareCommand) read(name string) (compare.Summary, error) {
	if name == standardStream {
		return compare.Read("standard input", c.In)
	}
	file, err := os.Open(name)
	if err != nil {
		return compare.Summary{}, err
	}
	defer file.Close()
	return compare.Read(name, file)
}
