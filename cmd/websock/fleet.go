package main

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/fanout"
)

// A fleet is many connections of this process that do the same.
type fleet struct {
	targets   []fanout.Target
	message   *message
	window    int     // messages in flight on each connection
	first     int     // number of the first connection, in its messages
	rate      float64 // connections dialled in a second; 0: as many as can be
	reconnect bool    // what fails is tried again
	group     *fanout.Group

	mu        sync.Mutex // held while an echo takes a slot, and while one starts or ends
	slots     []slot
	latencies []*latency
	failures  *failures
	begin     time.Time
	account   account

	untried    atomic.Int64  // slots that no attempt has come to an end for
	tried      chan struct{} // closed when there are none
	up         atomic.Int64
	comebacks  atomic.Int64 // connections that took the place of a lost one
	exchanging atomic.Bool  // who comes up sends
	stopping   atomic.Bool  // nothing more is sent; set under the lock, so that nothing starts any more
	closing    atomic.Bool  // connections end because we say so
}

// A slot is the place of one connection.
type slot struct {
	echo           atomic.Pointer[echo] // the last one; nil: it never was up
	tried          atomic.Bool
	sent, received int64 // by the echoes before, under the fleet's lock
}

func newFleet(targets []fanout.Target, m *message, window, n int) *fleet {
	f := &fleet{
		targets:   targets,
		message:   m,
		window:    window,
		slots:     make([]slot, n),
		latencies: make([]*latency, min(n, 4*runtime.GOMAXPROCS(0))),
		failures:  newFailures(),
		begin:     time.Now(),
		tried:     make(chan struct{}),
	}
	f.untried.Store(int64(n))
	for i := range f.latencies {
		f.latencies[i] = newLatency()
	}
	return f
}

// now returns the time since the fleet began, in nanoseconds.
func (f *fleet) now() int64 { return int64(time.Since(f.begin)) }

// gathers reports whether a whole window can wait in a connection's send buffer, also when it
// is encrypted. So much is also taken by the buffers of sockets, whether the server reads or
// not.
func (f *fleet) gathers() bool {
	return f.window <= engine.DefaultSendQueue/2/(len(f.message.content)+engine.MaxHeaderSize)
}

// maxHandshakes is how many connections are opened at the same time.
const maxHandshakes = 128

// dial starts the Group.
func (f *fleet) dial(ctx context.Context) error {
	rate := f.rate
	if rate == 0 {
		rate = -1
	}
	memory := memoryInUse()
	var err error
	f.group, err = fanout.Start(fanout.Options{
		Targets:   f.targets,
		Size:      len(f.slots),
		Pace:      fanout.Pace{Rate: rate, Handshakes: maxHandshakes, PerHost: -1},
		Permanent: func(err error) bool { return !f.reconnect || fanout.Permanent(err) },
		OnConnect: f.connected,
		OnMessage: f.deliver,
		OnDown:    f.down,
	})
	if err != nil {
		return err
	}
	select {
	case <-f.tried:
	case <-ctx.Done():
	}
	f.account.Connections = f.up.Load()
	f.account.Held = memoryInUse() - memory
	return nil
}

// connected puts a new connection into its slot. Its echoes are pushed to a Handler: with one
// message in flight that costs as much as pulling them, but of many, those that come in one
// read are answered in one write.
func (f *fleet) connected(_ context.Context, s *fanout.Slot, conn *engine.Conn) error {
	place := &f.slots[s.Number()]
	e := newEcho(f, s.Number(), conn)
	f.mu.Lock()
	before := place.echo.Swap(e)
	if before != nil {
		before.counted = true
		place.sent += before.sent.Load()
		place.received += before.received.Load()
	}
	f.mu.Unlock()
	if before != nil {
		f.comebacks.Add(1)
	}
	f.up.Add(1)
	if f.exchanging.Load() {
		e.start()
	}
	f.hasTried(place)
	return nil
}

func (f *fleet) deliver(s *fanout.Slot, op engine.Opcode, msg []byte) {
	f.slots[s.Number()].echo.Load().deliver(op, msg)
}

// down takes the end of a connection, or of an attempt.
func (f *fleet) down(s *fanout.Slot, err error, _ time.Duration) {
	place := &f.slots[s.Number()]
	switch e := place.echo.Load(); {
	case e != nil && !e.closed.Load():
		f.up.Add(-1)
		e.finish(err)
	case fanout.FailureOf(err) != fanout.FailedShutdown:
		f.failures.add(dialFailure(err), 1, err)
	}
	f.hasTried(place)
}

func (f *fleet) hasTried(place *slot) {
	if !place.tried.Swap(true) && f.untried.Add(-1) == 0 {
		close(f.tried)
	}
}

// exchange keeps messages in flight until d has passed, ctx ends, or no connection
// is left.
func (f *fleet) exchange(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	cpu, begin := cpuTime(), time.Now()
	// Each starts in a goroutine of its own: a single one that started them all
	// would have to take turns with those that are busy already.
	f.exchanging.Store(true)
	var starting sync.WaitGroup
	for i := range f.slots {
		if e := f.slots[i].echo.Load(); e != nil {
			starting.Go(e.start)
		}
	}
	f.waitOrNone(ctx)
	f.mu.Lock()
	f.stopping.Store(true)
	f.mu.Unlock()
	starting.Wait()
	f.account.exchanged(f.standing().Received, time.Since(begin), cpuTime()-cpu)
	return nil
}

// waitOrNone waits until ctx ends, or no connection is left and none comes back.
func (f *fleet) waitOrNone(ctx context.Context) {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for f.reconnect || f.up.Load() > 0 {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// finish waits for the echoes that are due, at most d, and closes all connections.
func (f *fleet) finish(d time.Duration) (account, error) {
	f.drain(d)
	f.close()
	f.account.ended(f)
	return f.account, nil
}

// drain waits for the echoes that are due, at most d, and counts those that didn't
// come.
func (f *fleet) drain(d time.Duration) {
	const pause = time.Millisecond
	for end := time.Now().Add(d); f.inFlight() > 0 && time.Now().Before(end); {
		time.Sleep(pause)
	}
	if missing := f.inFlight(); missing > 0 {
		f.failures.add("echo timeout", missing, nil)
	}
}

// close performs the closing handshake on all connections.
func (f *fleet) close() {
	const limit = 3 * engine.DefaultCloseTimeout // to write, to wait for the server, and some more
	f.closing.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	f.group.Shutdown(ctx) // how it went, down is told
}

func (f *fleet) inFlight() (n int64) {
	for i := range f.slots {
		if e := f.slots[i].echo.Load(); e != nil {
			n += e.inFlight()
		}
	}
	return n
}

// standing returns how things stand.
func (f *fleet) standing() standing {
	now := standing{Up: f.up.Load(), Errors: f.failures.total(), Reconnects: f.comebacks.Load()}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.slots {
		place := &f.slots[i]
		now.Sent += place.sent
		now.Received += place.received
		if e := place.echo.Load(); e != nil {
			now.Sent += e.sent.Load()
			now.Received += e.received.Load()
		}
	}
	return now
}

func (f *fleet) latency() *latency {
	all := newLatency()
	for _, l := range f.latencies {
		all.merge(l)
	}
	return all
}
