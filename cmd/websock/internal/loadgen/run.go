// Package loadgen generates load on servers: many connections, each of which sends as flags or a scenario
// say, in this process or in several.
package loadgen

import (
	"context"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/live"
	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
	"github.com/seed004e8d11/websock/cmd/websock/internal/report"
)

// A Runner generates load: a LoadGen in this process, or a WorkerPool of other processes.
// Its stages Dial, Exchange and Finish are called once each, in this order.
type Runner interface {
	// Dial opens the connections. It returns when every connection has been attempted once, or
	// ctx has ended. An error means that none can be opened.
	Dial(ctx context.Context) error

	// Exchange keeps messages in flight until d has passed, unless it is 0, ctx ends, or no
	// connection is left.
	Exchange(ctx context.Context, d time.Duration) error

	// Finish waits at most d for the answers in flight, and closes all connections. It waits no longer if ctx
	// ends meanwhile.
	Finish(ctx context.Context, d time.Duration) (measure.Result, error)

	// Snapshot may be called at any time, by any goroutine.
	Snapshot() measure.Snapshot
}

// A Plan says how long the stages take, and what shows them.
type Plan struct {
	Duration time.Duration // of the exchange; 0: until it is interrupted
	Timeout  time.Duration // of the wait for the last answers
	Display  *live.Display
}

// Run runs all stages and adds their result to r.
func Run(ctx context.Context, runner Runner, p Plan, r *report.Report) error {
	sampler := measure.StartSampler(p.Duration, runner.Snapshot)
	defer sampler.Stop()
	p.Display.Start(ctx, runner.Snapshot)
	defer p.Display.Stop()
	if err := runner.Dial(ctx); err != nil {
		return err
	}
	sampler.Sample()
	if ctx.Err() == nil {
		if err := runner.Exchange(ctx, p.Duration); err != nil {
			return err
		}
		sampler.Sample()
	}
	result, err := runner.Finish(ctx, p.Timeout)
	if err != nil {
		return err
	}
	r.SetResult(result, sampler.Stop())
	return nil
}
