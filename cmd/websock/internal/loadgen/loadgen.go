package loadgen

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
	"github.com/seed004e8d11/websock/cmd/websock/internal/payload"
	"github.com/seed004e8d11/websock/cmd/websock/internal/process"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/fanout"
)

// Config says what a LoadGen does.
type Config struct {
	Targets     []fanout.Target
	Mux         *websock.Mux // of the Targets; New owns it. nil: they use HTTP/1.1
	Connections int
	First       int // number of the first connection, in its messages
	Message     *payload.Message
	Window      int     // messages in flight on each connection
	Rate        float64 // connections dialed in a second; 0: unlimited
	Reconnect   bool    // dial again what failed or was lost

	// Share, unless it is nil, starts a Group whose slots come and go, and returns what ends it. It
	// sets the Group's Size and rate. NumberOf then numbers the slots, from 0 to Connections-1.
	Share    func(context.Context, fanout.Options) (shutdown func(), err error)
	NumberOf func(*fanout.Slot) int
}

// A LoadGen generates load in this process. It is a Runner.
type LoadGen struct {
	Config
	shutdown   func()               // ends the Group
	histograms []*measure.Histogram // each is shared by a few connections
	failures   *failures
	begin      time.Time
	result     measure.Result

	mu    sync.Mutex // guards slots, and phase while an exchange starts or a connection ends
	slots []slot
	phase atomic.Int32 // of type phase; written under mu

	unattempted  atomic.Int64  // slots whose first attempt has not ended
	allAttempted chan struct{} // closed when there are none
	up           atomic.Int64
	reconnects   atomic.Int64
}

// A phase says what connections do.
type phase int32

const (
	dialing    phase = iota // open, but send nothing
	exchanging              // send, also when they open later
	draining                // send nothing more, and receive the echoes in flight
	closing                 // perform the closing handshake
)

// A slot is the place of one connection and of those that replace it.
type slot struct {
	conn           atomic.Pointer[echoConn] // the latest one; nil: none so far
	attempted      atomic.Bool
	sent, received int64 // by the connections that were replaced, under LoadGen.mu
}

// New returns a LoadGen that has not dialed yet.
func New(c Config) *LoadGen {
	g := &LoadGen{
		Config:       c,
		histograms:   make([]*measure.Histogram, min(c.Connections, 4*runtime.GOMAXPROCS(0))),
		failures:     newFailures(),
		begin:        time.Now(),
		result:       measure.NewResult(),
		slots:        make([]slot, c.Connections),
		allAttempted: make(chan struct{}),
	}
	g.unattempted.Store(int64(c.Connections))
	for i := range g.histograms {
		g.histograms[i] = measure.NewHistogram()
	}
	return g
}

// now returns the time since the LoadGen began, in nanoseconds.
func (g *LoadGen) now() int64 { return int64(time.Since(g.begin)) }

func (g *LoadGen) is(p phase) bool { return phase(g.phase.Load()) == p }

func (g *LoadGen) enter(p phase) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.phase.Store(int32(p))
}

// windowFitsQueue reports whether a whole window can wait in a connection's send queue, even
// if it is encrypted. The buffers of sockets also hold that much, so a server that doesn't read
// does not block sends.
func (g *LoadGen) windowFitsQueue() bool {
	return g.Window <= websock.DefaultSendQueue/2/(len(g.Message.Content)+engine.MaxHeaderSize)
}

// maxHandshakes bounds the connections that are being opened at the same time.
const maxHandshakes = 128

// Dial starts a fanout.Group. With Share it does not wait for the slots.
func (g *LoadGen) Dial(ctx context.Context) error {
	o := fanout.Options{
		Targets:   g.Targets,
		Pace:      fanout.Pace{Handshakes: maxHandshakes, PerHost: -1},
		Permanent: func(err error) bool { return !g.Reconnect || fanout.Permanent(err) },
		OnConnect: g.onConnect,
		OnMessage: g.onMessage,
		OnDown:    g.onDown,
	}
	if g.Share != nil {
		var err error
		g.shutdown, err = g.Share(ctx, o)
		return err
	}
	o.Size, o.Pace.Rate = len(g.slots), g.Rate
	if g.Rate == 0 {
		o.Pace.Rate = -1
	}
	memory, cpu := process.LiveMemory(), process.CPUTime()
	group, err := fanout.Start(o)
	if err != nil {
		return err
	}
	g.shutdown = func() {
		const limit = 3 * websock.DefaultCloseTimeout // for the write, for the server's answer, and slack
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		group.Shutdown(ctx) // onDown gets the errors
	}
	select {
	case <-g.allAttempted:
	case <-ctx.Done():
	}
	g.countConnections()
	g.result.DialCPU = process.CPUTime() - cpu
	g.result.IdleMemory = process.LiveMemory() - memory
	return nil
}

// countConnections puts into the result what is open.
func (g *LoadGen) countConnections() {
	g.result.Connections = g.up.Load()
	if g.Mux != nil {
		stats := g.Mux.Stats()
		g.result.Sessions, g.result.Streams = int64(stats.Conns), int64(stats.Streams)
	}
}

// onConnect puts a new connection into its slot. It uses a Handler, not a goroutine that pulls:
// with one message in flight the cost is the same, but of several, the replies to messages that
// arrive in one read are written together.
func (g *LoadGen) onConnect(_ context.Context, s *fanout.Slot, conn *websock.Conn) error {
	number := g.numberOf(s)
	slot := &g.slots[number]
	c := newEchoConn(g, number, conn)
	if g.replace(slot, c) {
		g.reconnects.Add(1)
	}
	g.up.Add(1)
	c.start()
	g.noteAttempt(slot)
	return nil
}

// replace puts c, nil for none, in place of the connection of a slot, and reports whether there was
// one. It keeps the counts of that.
func (g *LoadGen) replace(slot *slot, c *echoConn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	last := slot.conn.Swap(c)
	if last == nil {
		return false
	}
	last.replaced = true
	slot.sent += last.sent.Load()
	slot.received += last.received.Load()
	return true
}

// numberOf returns the number of a slot's connection among all.
func (g *LoadGen) numberOf(s *fanout.Slot) int {
	if g.NumberOf != nil {
		return g.NumberOf(s)
	}
	return s.Number()
}

func (g *LoadGen) onMessage(s *fanout.Slot, op websock.Opcode, msg []byte) {
	g.slots[g.numberOf(s)].conn.Load().onMessage(op, msg)
}

// onDown handles the end of a connection and the failure of an attempt.
func (g *LoadGen) onDown(s *fanout.Slot, err error, _ time.Duration) {
	slot := &g.slots[g.numberOf(s)]
	ended := endedByUs(err)
	switch c := slot.conn.Load(); {
	case c != nil && !c.closed.Load():
		g.up.Add(-1)
		c.onClose(err)
	case !ended:
		g.failures.add(dialFailure(err), 1, err)
	}
	if g.Share != nil && ended {
		g.replace(slot, nil) // another process has the connection next, or this one later
	}
	g.noteAttempt(slot)
}

func (g *LoadGen) noteAttempt(slot *slot) {
	if !slot.attempted.Swap(true) && g.unattempted.Add(-1) == 0 {
		close(g.allAttempted)
	}
}

// Exchange starts every connection in a goroutine of its own: a single goroutine that started
// all of them would have to compete with the connections that are busy already.
func (g *LoadGen) Exchange(ctx context.Context, d time.Duration) error {
	if d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	cpu, begin := process.CPUTime(), time.Now()
	g.enter(exchanging)
	var starting sync.WaitGroup
	for i := range g.slots {
		if c := g.slots[i].conn.Load(); c != nil {
			starting.Go(c.start)
		}
	}
	g.waitWhileUp(ctx)
	g.enter(draining)
	starting.Wait()
	g.result.Exchanged = g.Snapshot().Received
	g.result.Elapsed, g.result.CPU = time.Since(begin), process.CPUTime()-cpu
	g.result.Memory = process.Memory()
	if g.Share != nil {
		g.countConnections()
	}
	return nil
}

// waitWhileUp waits until ctx ends, or no connection is up and none will be.
func (g *LoadGen) waitWhileUp(ctx context.Context) {
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for g.Reconnect || g.up.Load() > 0 {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return
		}
	}
}

// Finish never fails.
func (g *LoadGen) Finish(d time.Duration) (measure.Result, error) {
	g.awaitEchoes(d)
	g.close()
	g.result.Final = g.Snapshot()
	g.result.Errors, g.result.FirstErrors = g.failures.byKind()
	for _, h := range g.histograms {
		g.result.Latencies.Merge(h)
	}
	return g.result, nil
}

// awaitEchoes waits at most d for the echoes in flight and counts the missing ones as failures.
func (g *LoadGen) awaitEchoes(d time.Duration) {
	const pause = time.Millisecond
	for end := time.Now().Add(d); g.inFlight() > 0 && time.Now().Before(end); {
		time.Sleep(pause)
	}
	if missing := g.inFlight(); missing > 0 {
		g.failures.add("echo timeout", missing, nil)
	}
}

// close performs the closing handshake on all connections.
func (g *LoadGen) close() {
	g.enter(closing)
	g.shutdown()
	if g.Mux != nil {
		g.Mux.Close()
	}
}

func (g *LoadGen) inFlight() (n int64) {
	for i := range g.slots {
		if c := g.slots[i].conn.Load(); c != nil {
			n += c.inFlight()
		}
	}
	return n
}

// Snapshot adds up the counters of all connections.
func (g *LoadGen) Snapshot() measure.Snapshot {
	now := measure.Snapshot{Up: g.up.Load(), Errors: g.failures.total(), Reconnects: g.reconnects.Load()}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.slots {
		slot := &g.slots[i]
		now.Sent += slot.sent
		now.Received += slot.received
		if c := slot.conn.Load(); c != nil {
			now.Sent += c.sent.Load()
			now.Received += c.received.Load()
		}
	}
	return now
}
