package member

import (
	"context"
	"time"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/machine"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
)

// A Clock tells the time since any fixed moment. It never goes back.
type Clock interface{ Now() time.Duration }

// Options are those of a Member.
type Options struct {
	machine.Settings
	Store  store.Store
	Holder Holder

	// Clock. Default: one that counts the time in which the system was suspended, where there is one.
	// In a testing/synctest bubble it has to be Monotonic.
	Clock Clock

	// Observe, unless it is nil, is called with what happens, by one goroutine. It has to return at once.
	Observe func(machine.Event)
}

// A Member is one member of a cluster that runs.
type Member struct {
	o Options
}

// New returns a Member that Run runs.
func New(o Options) *Member { return &Member{o: o} }

// Run joins the cluster and is a member of it, until Leave has finished: then it returns nil. If ctx
// ends, it has the Holder cut all connections and returns ctx's error without leaving: for the others the
// process has died. If the cluster has other settings than this member, it returns a
// *machine.IncompatibleError. Run is called once.
func (m *Member) Run(ctx context.Context) error { return nil }

// Leave hands over to the others what this member holds, and then ends it. If there are no others it
// drains all connections. If ctx ends, it aborts those that are left, and returns ctx's error soon after.
func (m *Member) Leave(ctx context.Context) error { return nil }

// Holds returns the fencing token with which this member holds a partition, and whether it still may use
// its connections: it does so right now, by its clock. It costs about as much as reading the clock, and
// may be called from any goroutine.
func (m *Member) Holds(partition int) (token uint64, ok bool) { return 0, false }

// Ended is called when the last connection of a partition has ended that the Holder was to drain. Like
// the following methods, it may be called from any goroutine, also within a method of the Holder.
func (m *Member) Ended(partition int) {}

// CutDone is called when the last connection has ended after Holder.Cut.
func (m *Member) CutDone() {}

// Settled is called when each connection of a partition that was opened has had the outcome of its
// first attempt; at once if it has no keys.
func (m *Member) Settled(partition int) {}

// BacklogChanged is called when what Holder.Report returns has changed.
func (m *Member) BacklogChanged() {}

// Status returns what the member knows at this moment.
func (m *Member) Status() machine.Status { return machine.Status{} }

// Monotonic is a Clock that is Go's: it stands still while the system is suspended.
func Monotonic() Clock { return monotonic{origin: time.Now()} }

type monotonic struct{ origin time.Time }

func (m monotonic) Now() time.Duration { return time.Since(m.origin) }
