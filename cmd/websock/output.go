package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
	"github.com/seed004e8d11/websock/cmd/websock/internal/prom"
	"github.com/seed004e8d11/websock/cmd/websock/internal/series"
	"github.com/seed004e8d11/websock/cmd/websock/internal/threshold"
)

// outputFlags are the flags of fanout about what it says of a run, and where.
type outputFlags struct {
	thresholds     []threshold.Threshold
	series         string
	seriesInterval time.Duration
	prom           string
}

const (
	standardStream    = "-" // instead of a file
	minSeriesInterval = measure.SampleInterval
)

func (o *outputFlags) register(fs *flag.FlagSet) {
	fs.Func("threshold", "`condition` that decides the exit code, like latency.p99<200ms or errors<0.1% (repeatable: all must hold)", func(text string) error {
		t, err := threshold.Parse(text)
		o.thresholds = append(o.thresholds, t)
		return err
	})
	fs.StringVar(&o.series, "series", "", "`file` to write a row to every second while it runs: CSV if its name ends in .csv, otherwise NDJSON; -: standard output")
	fs.DurationVar(&o.seriesInterval, "series-interval", time.Second, "with -series, the time between two rows")
	fs.StringVar(&o.prom, "prom", "", "`address`, like :9090, to serve metrics for Prometheus at while it runs")
}

// check returns what is wrong with the flags. set reports whether a flag was given, json whether -json was.
// counts are the names under which a scenario counts messages.
func (o *outputFlags) check(set func(name string) bool, json bool, counts []string) error {
	for _, t := range o.thresholds {
		if name := t.Counted(); name != "" && !slices.Contains(counts, name) {
			return fmt.Errorf("-threshold %v: no scenario counts messages as %q", t, name)
		}
	}
	switch {
	case o.series == "" && set("series-interval"):
		return errors.New("-series-interval needs -series")
	case o.seriesInterval < minSeriesInterval:
		return fmt.Errorf("-series-interval is at least %v", minSeriesInterval)
	case o.series == standardStream && json:
		return errors.New("-series - and -json would both write to standard output: name a file for -series")
	case o.prom != "" && !isListenAddr(o.prom):
		return fmt.Errorf("-prom is a host and port, like :9090, and not %q", o.prom)
	}
	return nil
}

// outputs are where a run is shown to other programs while it lasts.
type outputs struct {
	file     *os.File       // of -series; nil: it is standard output, or not asked for
	pipe     chan os.Signal // gets the signal for a closed pipe if standard output is that of -series
	rows     *series.Series // nil: none are asked for, or the run has not started
	endpoint *prom.Endpoint // nil: it is not asked for
}

// open creates the file of -series and listens for -prom. close must be called.
func (o *outputFlags) open(s stdio) (out *outputs, err error) {
	out = &outputs{}
	switch o.series {
	case "":
	case standardStream:
		out.pipe = make(chan os.Signal, 1)
		signal.Notify(out.pipe, syscall.SIGPIPE) // otherwise that would end the process
	default:
		if out.file, err = os.OpenFile(o.series, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666); err != nil {
			return nil, err
		}
	}
	if o.prom == "" {
		return out, nil
	}
	if out.endpoint, err = prom.Listen(o.prom); err != nil {
		return nil, errors.Join(err, out.close())
	}
	if o.anyPort() {
		fmt.Fprintln(s.Err, "websock: metrics are at", out.endpoint.URL())
	}
	return out, nil
}

// anyPort reports whether the system chooses the port of -prom.
func (o *outputFlags) anyPort() bool {
	_, port, err := net.SplitHostPort(o.prom)
	return err == nil && port == "0"
}

// showRun shows what a run measures, of which snapshot returns the latest, until out is closed.
func (o *outputFlags) showRun(s stdio, out *outputs, snapshot func() measure.Snapshot) {
	var rows io.Writer
	switch {
	case out.file != nil:
		rows = out.file
	case out.pipe != nil:
		rows = s.Out
	}
	if rows != nil {
		out.rows = series.Start(rows, series.FormatOf(o.series), o.seriesInterval, snapshot)
	}
	if out.endpoint != nil {
		out.endpoint.Serve(snapshot)
	}
}

// table returns where the result goes.
func (o *outputFlags) table(s stdio) io.Writer {
	if o.series == standardStream {
		return s.Err
	}
	return s.Out
}

// tellMissed says on standard error which thresholds did not hold, since an object for programs hides
// it from whoever reads the log of a job that has failed.
func (s stdio) tellMissed(outcomes []threshold.Outcome) {
	for _, o := range outcomes {
		if !o.Held {
			fmt.Fprintf(s.Err, "websock: threshold %s not held: %s\n", o.Threshold, o.Describe())
		}
	}
}

// close writes what is left, and stops to listen. An error says what could not be written.
func (out *outputs) close() error {
	var failed error
	if out.rows != nil {
		failed = out.rows.Stop()
	}
	if out.file != nil {
		failed = errors.Join(failed, out.file.Close())
	}
	if out.pipe != nil {
		signal.Stop(out.pipe)
	}
	if out.endpoint != nil {
		out.endpoint.Close()
	}
	return failed
}
