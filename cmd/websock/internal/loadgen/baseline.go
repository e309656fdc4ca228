package loadgen

import (
	"cmp"
	"context"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
	"github.com/seed004e8d11/websock/cmd/websock/internal/process"
	"github.com/seed004e8d11/websock/fanout"
)

// What a connection costs is measured as what further connections cost: event loops, pools, tables and
// the stacks of handshakes are there once the first ones are open, however many follow.

// A baseline is what the process has used when so many connections were open.
type baseline struct {
	connections int64
	memory      int64
	cpu         time.Duration // read after memory, so without the garbage collections of that
}

func (g *LoadGen) readBaseline() baseline {
	up := g.up.Load()
	memory := liveMemory(&g.result)
	return baseline{up, memory, process.CPUTime()}
}

// liveMemory returns process.LiveMemory. The time that it takes, in which nothing is dialed, is no part of
// r.Dialing.
func liveMemory(r *measure.Result) int64 {
	begin := time.Now()
	defer func() { r.Dialing -= time.Since(begin) }()
	return process.LiveMemory()
}

// addCosts puts into r what its connections cost, if each costs as much as those after the baseline.
func (b baseline) addCosts(r *measure.Result) {
	cpu := process.CPUTime() - b.cpu
	further := r.Connections - b.connections
	if further <= 0 {
		return
	}
	memory := max(liveMemory(r)-b.memory, 0)
	scale := float64(r.Connections) / float64(further)
	r.IdleMemory, r.DialCPU = int64(float64(memory)*scale), time.Duration(float64(cpu)*scale)
}

// maxFirst is enough connections for a baseline: there are no more handshakes at a time.
const maxFirst = 8 * maxHandshakes

// firstConnections returns how many connections are dialed before the baseline. With HTTP/2, they
// fill their TCP connections if there are enough. Of those that come and go, there is no baseline.
func firstConnections(c Config) int {
	if c.Share != nil {
		return 0
	}
	first := min(c.Connections/4, maxFirst)
	if c.Mux != nil {
		each := cmp.Or(c.Mux.StreamsPerConn, websock.DefaultStreamsPerConn)
		first = cmp.Or(first-first%each, first)
	}
	return first
}

// dialFirst waits until the first connections, which the Group has slots for, have been attempted, and
// returns the baseline. If that takes much longer than the dial rate demands, the baseline is still the
// one from before they were dialed. Then the Group gets its other slots.
func (g *LoadGen) dialFirst(ctx context.Context, group *fanout.Group, before baseline) (baseline, error) {
	const slack = time.Second
	limit := slack
	if g.Rate > 0 {
		limit += time.Duration(float64(g.first) / g.Rate * float64(time.Second))
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-g.firstAttempted:
		before = g.readBaseline()
	case <-late.C:
	case <-ctx.Done():
		return before, nil
	}
	return before, group.Resize(len(g.slots))
}
