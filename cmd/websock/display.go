package main

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/cmd/websock/internal/live"
	"github.com/seed004e8d11/websock/cmd/websock/internal/loadgen"
)

// displayFlags are the flags of what fanout shows while it runs.
type displayFlags struct{ quiet bool }

func (d *displayFlags) register(fs *flag.FlagSet) {
	fs.BoolVar(&d.quiet, "quiet", false, "show nothing while it runs: only errors and warnings are written to standard error")
}

// logLevel returns the least level of what is logged.
func (d *displayFlags) logLevel() slog.Level {
	if d.quiet {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// newDisplay returns what shows a run. interrupt ends the run early.
func (c *fanoutCommand) newDisplay(interrupt func(), out *outputs) *live.Display {
	o := live.Options{
		Out: c.Err, Quiet: c.quiet || c.series == standardStream, // rows may be shown on the same terminal
		Command: "websock fanout", Details: c.details(), Connections: c.n,
		Lasts:     c.phases(),
		Interrupt: interrupt,
		EndNow:    func() { os.Exit(int(exitInterrupted)) },
	}
	if c.anyPort() { // the user doesn't know it
		o.Details = slices.Insert(o.Details, 0, "metrics at "+out.endpoint.URL())
	}
	return live.New(o)
}

// phases says how long the phases take of which that is known.
func (c *fanoutCommand) phases() map[string]time.Duration {
	if c.scenario == nil || len(c.scenario.Stages) == 0 {
		return map[string]time.Duration{"exchanging": c.duration}
	}
	lasts, before := map[string]time.Duration{}, ""
	for _, stage := range c.scenario.Stages {
		if stage.Name != before {
			lasts[stage.Name] = 0
		}
		lasts[stage.Name] += stage.For // stages of one name that follow each other are one phase
		before = stage.Name
	}
	return lasts
}

// details says in a few words what the flags ask for.
func (c *fanoutCommand) details() (all []string) {
	add := func(given bool, format string, args ...any) {
		if given {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	mine := c.scenario == nil
	sends := mine && c.mode != loadgen.Receive && (c.window > 0 || c.msgRate.rate > 0)
	add(true, "%s connections", console.Grouped(c.n))
	add(c.rate > 0, "%v dialed a second", c.rate)
	add(!mine, "scenario %s", c.file)
	add(mine && !sends && c.mode == loadgen.Echo, "idle")
	add(mine && c.mode != loadgen.Echo, "mode %v", c.mode)
	add(sends, "%s bytes", console.Grouped(c.size))
	add(sends && c.msgRate.rate > 0, "%s messages a second", console.Grouped(c.msgRate.ofAll(c.n)))
	add(sends && c.msgRate.rate == 0, "%s in flight on each", console.Grouped(c.window))
	add(c.streamsPerConn() > 0, "HTTP/2, %s WebSockets a connection", console.Grouped(c.streamsPerConn()))
	add(c.procs > 1, "%d processes", c.procs)
	add(c.joins(), "cluster %s, weight %v", c.name, c.weight)
	add(true, "transport %s", c.transport)
	return all
}
