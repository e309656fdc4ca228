package member

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/machine"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
)

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
	o     Options
	clock Clock
	done  chan struct{} // closed when Run has returned

	mu      sync.Mutex
	machine *machine.Machine

	// What Holds reads. tokens is 0 for a partition that isn't held.
	deadline atomic.Int64
	tokens   []atomic.Uint64

	inbox inbox
}

// New returns a Member that Run runs.
func New(o Options) *Member {
	m := &Member{
		o:       o,
		clock:   o.Clock,
		done:    make(chan struct{}),
		machine: machine.New(o.Settings),
		tokens:  make([]atomic.Uint64, o.Partitions),
		inbox:   inbox{wake: make(chan struct{}, 1)},
	}
	if m.clock == nil {
		m.clock = systemClock()
	}
	m.deadline.Store(-1)
	return m
}

// Leave hands over to the others what this member holds, and then ends it. If there are no others it
// drains all connections. If ctx ends, it aborts those that are left, and returns ctx's error soon
// after. Run has to be running, or to have returned.
func (m *Member) Leave(ctx context.Context) error {
	m.inbox.put(notice{kind: leaveNotice})
	select {
	case <-m.done:
		return nil
	case <-ctx.Done():
	}
	m.inbox.put(notice{kind: abandonNotice})
	<-m.done
	return ctx.Err()
}

// Holds returns the fencing token with which this member holds a partition, and whether it still may use
// its connections: it does so right now, by its clock. It costs about as much as reading the clock, and
// may be called from any goroutine.
func (m *Member) Holds(partition int) (token uint64, ok bool) {
	if partition < 0 || partition >= len(m.tokens) {
		return 0, false
	}
	deadline := m.deadline.Load() // before the token: it is that of the token's session, or of an earlier one
	token = m.tokens[partition].Load()
	if token == 0 || !m.o.KeepConnections && int64(m.clock.Now()) >= deadline {
		return 0, false
	}
	return token, true
}

// Ended is called when the last connection of a partition has ended that the Holder was to drain. Like
// the following methods, it may be called from any goroutine, also within a method of the Holder.
func (m *Member) Ended(partition int) {
	m.inbox.put(notice{kind: endedNotice, partition: partition})
}

// CutDone is called when the last connection has ended after Holder.Cut.
func (m *Member) CutDone() { m.inbox.put(notice{kind: cutDoneNotice}) }

// Settled is called when each connection of a partition that was opened has had the outcome of its
// first attempt; at once if it has no keys. It does nothing without Overlap.
func (m *Member) Settled(partition int) {
	if m.o.Overlap > 0 {
		m.inbox.put(notice{kind: settledNotice, partition: partition})
	}
}

// BacklogChanged is called when what Holder.Report returns has changed.
func (m *Member) BacklogChanged() { m.inbox.reportChanged() }

// Status returns what the member knows at this moment.
func (m *Member) Status() machine.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.machine.Status(m.clock.Now())
}

// A notice tells the goroutine of Run what has happened elsewhere.
type notice struct {
	kind      noticeKind
	partition int
	write     writeResult
	watch     openedWatch
}

type noticeKind uint8

const (
	endedNotice noticeKind = iota
	cutDoneNotice
	settledNotice
	leaveNotice
	abandonNotice
	writtenNotice
	watchNotice
)

// An inbox has what Run has to be told. Putting something there never waits.
type inbox struct {
	wake chan struct{} // has an element if there is something new

	mu       sync.Mutex
	notices  []notice
	reported bool // the Holder's report has changed
}

func (b *inbox) put(n notice) {
	b.mu.Lock()
	b.notices = append(b.notices, n)
	b.mu.Unlock()
	b.ring()
}

func (b *inbox) reportChanged() {
	b.mu.Lock()
	before := b.reported
	b.reported = true
	b.mu.Unlock()
	if !before {
		b.ring()
	}
}

func (b *inbox) ring() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take returns what there is, and whether the Holder's report has changed.
func (b *inbox) take() (notices []notice, reported bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	notices, reported = b.notices, b.reported
	b.notices, b.reported = nil, false
	return notices, reported
}

// tickEvery is how often the machine looks at the clock at least: a timer may be late if the system
// was suspended.
func (m *Member) tickEvery() time.Duration { return m.o.Margin / 4 }
