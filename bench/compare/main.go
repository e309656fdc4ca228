//go:build linux

// Command compare lets contestants take turns, round after round, and prints their costs.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/bench/client"
	"github.com/seed004e8d11/websock/bench/echo"
	"github.com/seed004e8d11/websock/bench/loopback"
)

func main() {
	loopback.Main()
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	rounds := flags.Int("rounds", 5, "number of rounds; in each, every contestant has a turn")
	cases := flags.String("cases", "", "regular expression of `names`; all if empty")
	names := flags.String("contestants", "", "`names`, separated by commas; all but variants if empty. The others are compared with the first. With -slice, and in cases of servers, PROGRAM:NAME is that of another build of this command")
	warmup := flags.Duration("warmup", 200*time.Millisecond, "time before each measurement")
	window := flags.Duration("window", 500*time.Millisecond, "time of each measurement")
	slice := flags.Duration("slice", 0, "contestants that echo or receive broadcasts run at the same time, in turns of this `time`, so that other load disturbs all alike; 0: one after another")
	unpinned := flags.Bool("unpinned", false, "client and server use all processors")
	profiles := flags.String("cpuprofile", "", "`directory` for a profile of each client in its last round")
	var programs []loopback.Contestant
	others := flags.String("others", "others/bin", "`directory` with clients and servers in other languages, which take part; none if empty")
	flags.Func("program", "`command` of another server to compare: its last argument is a free port, unless one ends with PORT; can be repeated", func(command string) error {
		program, err := loopback.Program(command)
		programs = append(programs, program)
		return err
	})
	ranges := flags.Bool("ranges", false, "print the least and the largest figures, in place of medians")
	list := flags.Bool("list", false, "only list cases and contestants")
	if err := flags.Parse(args); err != nil {
		return err
	}
	pattern, err := regexp.Compile(*cases)
	if err != nil {
		return err
	}
	chosen := slices.DeleteFunc(slices.Clone(loopback.Cases), func(c loopback.Case) bool { return !pattern.MatchString(c.String()) })
	if *list {
		printNames(chosen)
		return nil
	}
	lab, err := loopback.Open(!*unpinned)
	if err != nil {
		return err
	}
	defer lab.Close()
	lab.Profiles = *profiles
	timing := loopback.Timing{Warmup: *warmup, Window: *window}
	missing := map[string]bool{} // what was said of others that aren't there
	for _, c := range chosen {
		foreign, leftOut := c.Others(*others)
		for _, why := range leftOut {
			if *names == "" && !missing[why] {
				fmt.Fprintln(os.Stderr, why)
				missing[why] = true
			}
		}
		contestants, err := find(c, *names, foreign)
		if err != nil {
			return err
		}
		if c.Server {
			contestants = append(contestants, programs...)
		}
		t := loopback.NewTable(c, contestants)
		t.Ranges = *ranges
		for range *rounds {
			if *slice > 0 && c.CanSlice() {
				t.AddSlicedRound(lab, timing, *slice)
			} else {
				t.AddRound(lab, timing)
			}
		}
		t.Print(os.Stdout)
	}
	return nil
}

// find returns the contestants of these names, or without names those of the case and the others. Some may
// take part in other cases only.
func find(c loopback.Case, names string, others []loopback.Contestant) (found []loopback.Contestant, err error) {
	if names == "" {
		return append(c.Contestants(), others...), nil
	}
	for name := range strings.SplitSeq(names, ",") {
		if i := slices.IndexFunc(others, func(o loopback.Contestant) bool { return o.Name == name }); i >= 0 {
			found = append(found, others[i])
			continue
		}
		one, err := c.Find(name[strings.LastIndexByte(name, ':')+1:])
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", c, err)
			continue
		}
		one.Name = name
		found = append(found, one)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: no contestants", c)
	}
	return found, nil
}

func printNames(cases []loopback.Case) {
	for _, c := range cases {
		fmt.Println(c)
	}
	fmt.Println()
	for _, c := range client.Contestants() {
		fmt.Println(c.Name)
	}
	fmt.Println("\nservers:")
	for _, c := range echo.Contestants() {
		fmt.Println(c.Name)
	}
}
