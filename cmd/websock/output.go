package main

import (
	"flag"

	"github.com/seed004e8d11/websock/cmd/websock/internal/threshold"
)

// outputFlags are the flags of fanout about what it says of a run, and where.
type outputFlags struct {
	thresholds []threshold.Threshold
}

func (o *outputFlags) register(fs *flag.FlagSet) {
	fs.Func("threshold", "`condition` that decides the exit code, like latency.p99<200ms or errors<0.1% (repeatable: all must hold)", func(text string) error {
		t, err := threshold.Parse(text)
		o.thresholds = append(o.thresholds, t)
		return err
	})
}
