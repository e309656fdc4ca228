package loadgen

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
	"github.com/seed004e8d11/websock/cmd/websock/internal/payload"
	"github.com/seed004e8d11/websock/cmd/websock/internal/process"
	"github.com/seed004e8d11/websock/cmd/websock/internal/scenario"
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
	Mode        Mode
	Window      int     // messages in flight on each connection; 0: it sends none
	MessageRate float64 // messages sent on each connection in a second, however many are in flight; 0: see Window
	Rate        float64 // connections dialed in a second; 0: unlimited
	Reconnect   bool    // dial again what failed or was lost

	Scenario      *scenario.Scenario // what connections do; nil: as Message and Window say
	All           int                // connections of all processes that share a Scenario; 0: Connections
	AnswerTimeout time.Duration      // of answers for which the Scenario says none

	// Share, unless it is nil, starts a Group whose slots come and go, and returns it and what ends it.
	// It sets the Group's Size and rate. NumberOf then numbers the slots, from 0 to Connections-1.
	Share    func(context.Context, fanout.Options) (group *fanout.Group, shutdown func(), err error)
	NumberOf func(*fanout.Slot) int
}

// A LoadGen generates load in this process. It is a Runner.
type LoadGen struct {
	Config
	group    atomic.Pointer[fanout.Group] // nil before Dial
	shutdown func()                       // ends the Group
	tallies  []*tally                     // each is shared by a few connections
	failures *failures
	begin    time.Time
	result   measure.Result
	scripts  *scripts // nil: there is no Scenario
	slots    []slot

	mu       sync.Mutex     // guards changes of phase and of the states of connections
	phase    atomic.Int32   // of type phase
	starting sync.WaitGroup // for conversations that are being started; Add needs mu

	first          int           // connections that are dialed before the others; 0: there are none
	firstAttempted chan struct{} // closed when their first attempts have ended
	unattempted    atomic.Int64  // slots whose first attempt has not ended
	allAttempted   chan struct{} // closed when there are none
	up             atomic.Int64
	noneUp         chan struct{} // has an element after up has become 0
	attempts       atomic.Int64  // to connect
	reconnects     atomic.Int64
	mostUp         atomic.Int64           // at a time
	stage          atomic.Pointer[string] // name of the stage of the scenario; nil: there is none
	ended          atomic.Int64           // connections that had ended when the LoadGen began to close the others
}

// A phase says what connections do.
type phase int32

const (
	dialing    phase = iota // open, but send nothing
	exchanging              // send, also when they open later
	draining                // send nothing more, and receive the answers in flight
	closing                 // perform the closing handshake
)

func (p phase) String() string { return [...]string{"dialing", "exchanging", "draining", "closing"}[p] }

// A slot is the place of one connection and of those that replace it.
type slot struct {
	conn      atomic.Pointer[connection] // the latest one; nil: none so far
	attempted atomic.Bool
	closing   atomic.Bool // a stage has closed it: a connection that opens now sends nothing
}

// New returns a LoadGen that has not dialed yet.
func New(c Config) *LoadGen {
	g := &LoadGen{
		Config:       c,
		tallies:      make([]*tally, min(c.Connections, 4*runtime.GOMAXPROCS(0))),
		failures:     newFailures(),
		begin:        time.Now(),
		result:       measure.NewResult(),
		scripts:      newScripts(&c),
		slots:        make([]slot, c.Connections),
		allAttempted: make(chan struct{}),

		first:          firstConnections(c),
		firstAttempted: make(chan struct{}),
		noneUp:         make(chan struct{}, 1),
	}
	g.unattempted.Store(int64(c.Connections))
	for i := range g.tallies {
		g.tallies[i] = newTally()
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
	defer func(begin time.Time) { g.result.Dialing += time.Since(begin) }(time.Now())
	o := fanout.Options{
		Targets:   g.Targets,
		Pace:      fanout.Pace{Handshakes: maxHandshakes, PerHost: -1},
		Permanent: func(err error) bool { return !g.Reconnect || fanout.Permanent(err) },
		OnConnect: g.onConnect,
		OnMessage: g.onMessage,
		OnDown:    g.onDown,
	}
	if g.Scenario != nil && g.Scenario.ChangesRequests() {
		o.Prepare = g.prepare
	}
	if g.Share != nil {
		group, shutdown, err := g.Share(ctx, o)
		g.group.Store(group)
		g.shutdown = shutdown
		return err
	}
	o.Size, o.Pace.Rate = cmp.Or(g.first, len(g.slots)), g.Rate
	if g.Rate == 0 {
		o.Pace.Rate = -1
	}
	if g.staged() {
		return g.dialStages(o)
	}
	base := g.readBaseline()
	group, err := fanout.Start(o)
	if err != nil {
		return err
	}
	g.own(group)
	if g.first > 0 {
		if base, err = g.dialFirst(ctx, group, base); err != nil {
			g.shutdown()
			return err
		}
	}
	select {
	case <-g.allAttempted:
	case <-ctx.Done():
	}
	g.countConnections()
	base.addCosts(&g.result)
	return nil
}

// own makes a Group that of the LoadGen.
func (g *LoadGen) own(group *fanout.Group) {
	g.group.Store(group)
	g.shutdown = func() {
		const limit = 3 * websock.DefaultCloseTimeout // for the write, for the server's answer, and slack
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		group.Shutdown(ctx) // onDown gets the errors
	}
}

// countConnections puts into the result what is open.
func (g *LoadGen) countConnections() {
	g.result.Connections = g.up.Load()
	if g.Mux != nil {
		g.result.Sessions, g.result.Streams = g.countStreams()
	}
}

// onConnect puts a new connection into its slot. It uses a Handler, not a goroutine that pulls:
// with one message in flight the cost is the same, but of several, the replies to messages that
// arrive in one read are written together.
func (g *LoadGen) onConnect(ctx context.Context, s *fanout.Slot, conn *websock.Conn) error {
	number := g.numberOf(s)
	slot := &g.slots[number]
	c := g.newConnection(number, conn)
	if slot.conn.Swap(c) != nil {
		g.reconnects.Add(1)
	}
	if g.staged() && (slot.closing.Load() || ctx.Err() != nil) { // whoever closes it may not have seen it
		c.script().stop()
	}
	g.attempts.Add(1)
	g.countUp()
	c.begin()
	g.noteAttempt(slot)
	return nil
}

// tallyOf returns what counts for the connections of a slot.
func (g *LoadGen) tallyOf(number int) *tally { return g.tallies[number%len(g.tallies)] }

// numberOf returns the number of a slot's connection among all.
func (g *LoadGen) numberOf(s *fanout.Slot) int {
	switch {
	case g.NumberOf != nil:
		return g.NumberOf(s)
	case g.staged():
		return numberByKey(s)
	}
	return s.Number()
}

func (g *LoadGen) onMessage(s *fanout.Slot, op websock.Opcode, msg []byte) {
	c := g.slots[g.numberOf(s)].conn.Load()
	c.received.Add(1)
	c.receivedBytes.Add(int64(len(msg)))
	c.onMessage(op, msg)
}

// onDown handles the end of a connection and the failure of an attempt.
func (g *LoadGen) onDown(s *fanout.Slot, err error, _ time.Duration) {
	slot := &g.slots[g.numberOf(s)]
	ended := endedByUs(err)
	switch c := slot.conn.Load(); {
	case c != nil && !c.isClosed():
		if g.up.Add(-1) == 0 {
			select {
			case g.noneUp <- struct{}{}:
			default: // it is to be looked at already
			}
		}
		c.end(err)
	case !ended:
		g.attempts.Add(1)
		g.failures.add(dialFailure(err), 1, err)
	}
	if g.comesAndGoes() && ended {
		slot.conn.Store(nil) // another process has the connection next, or this one later
	}
	g.noteAttempt(slot)
}

func (g *LoadGen) noteAttempt(slot *slot) {
	if slot.attempted.Swap(true) {
		return
	}
	switch g.unattempted.Add(-1) {
	case 0:
		close(g.allAttempted)
	case int64(len(g.slots) - g.first):
		close(g.firstAttempted)
	}
}

// Exchange starts every connection in a goroutine of its own: a single goroutine that started
// all of them would have to compete with the connections that are busy already. Each is started, also if d
// has passed before its goroutine runs.
func (g *LoadGen) Exchange(ctx context.Context, d time.Duration) error {
	g.result.Before = g.Snapshot()
	cpu, begin := process.CPUTime(), g.now()
	if d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	g.enter(exchanging)
	stopPaces := g.startPaces(begin)
	for i := range g.slots {
		if c := g.slots[i].conn.Load(); c != nil && c.mayStart() {
			go c.startOnce()
		}
	}
	if g.staged() {
		g.runStages(ctx)
	} else {
		g.waitWhileUp(ctx)
	}
	g.enter(draining)
	g.result.CPU = process.CPUTime() - cpu
	g.result.Elapsed = time.Duration(stopPaces() - begin) // so that what was due belongs to that time
	g.starting.Wait()
	g.stopScripts()
	now := g.Snapshot()
	g.result.Exchanged = g.exchanged(&g.result.Before, &now)
	g.result.Memory = process.Memory()
	if g.Share != nil {
		g.countConnections()
	}
	return nil
}

// exchanged returns how many messages of the kind that the run is about there were between two moments.
func (g *LoadGen) exchanged(from, to *measure.Snapshot) int64 {
	sent := to.Sent - from.Sent
	if g.Scenario == nil && g.Mode == Send { // a greeting may come
		return sent
	}
	return cmp.Or(to.Received-from.Received, sent)
}

// waitWhileUp waits until ctx ends, or no connection is up and none will be.
func (g *LoadGen) waitWhileUp(ctx context.Context) {
	for g.Reconnect || g.up.Load() > 0 {
		select {
		case <-g.noneUp:
		case <-ctx.Done():
			return
		}
	}
}

// Finish never fails.
func (g *LoadGen) Finish(ctx context.Context, d time.Duration) (measure.Result, error) {
	g.awaitAnswers(ctx, d)
	g.close()
	g.result.Final = g.Snapshot()
	g.result.Errors, g.result.FirstErrors = g.failures.byKind()
	if g.scripts != nil {
		g.result.Counted = g.scripts.counted()
	}
	for _, t := range g.tallies {
		t.mergeInto(&g.result)
	}
	return g.result, nil
}

// awaitAnswers waits at most d for the answers in flight and counts the missing ones as failures, unless ctx
// ends meanwhile.
func (g *LoadGen) awaitAnswers(ctx context.Context, d time.Duration) {
	if ctx.Err() != nil { // an earlier interrupt has ended the exchange: the next one ends the process
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for g.inFlight() > 0 && ctx.Err() == nil {
		select {
		case <-poll.C:
		case <-ctx.Done():
		}
	}
	g.endScripts() // so that their timers don't count what is missing again
	if missing := g.inFlight(); missing > 0 && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		g.failures.add(g.timeoutKind(), missing, nil)
	}
}

// close performs the closing handshake on all connections.
func (g *LoadGen) close() {
	g.ended.Store(g.Snapshot().Ended)
	g.enter(closing)
	g.shutdown()
	if g.Mux != nil {
		g.Mux.Close()
	}
}

func (g *LoadGen) inFlight() (n int64) {
	for i := range g.slots {
		if c := g.slots[i].conn.Load(); c != nil && !c.isClosed() {
			n += c.inFlight()
		}
	}
	return n
}

// Snapshot adds up what connections have counted. Its cost does not depend on how many there are, and is
// no part of what messages cost.
func (g *LoadGen) Snapshot() (now measure.Snapshot) {
	process.Aside(func() { now = g.snapshot() })
	return now
}

func (g *LoadGen) snapshot() measure.Snapshot {
	now := measure.Snapshot{Phase: phase(g.phase.Load()).String(), Attempts: g.attempts.Load(), Reconnects: g.reconnects.Load()}
	if stage := g.stage.Load(); stage != nil && g.is(exchanging) {
		now.Phase = *stage
	}
	now.ErrorsByKind, now.Errors = g.failures.soFar()
	g.countStates(&now)
	if g.Mux != nil {
		now.Sessions, now.Streams = g.countStreams()
	}
	for _, t := range g.tallies {
		t.addTo(&now)
	}
	return now
}

// countStates counts connections by state. Those that it closes itself in the end have not failed.
func (g *LoadGen) countStates(s *measure.Snapshot) {
	group := g.group.Load()
	if group == nil {
		if !g.comesAndGoes() {
			s.Asked, s.Waiting = int64(g.Connections), int64(g.Connections)
		}
		return
	}
	count := func(state fanout.State) int64 { return int64(group.Count(state)) }
	s.Waiting, s.Connecting, s.Up = count(fanout.Waiting), count(fanout.Connecting), count(fanout.Up)
	if g.is(closing) {
		s.Ended = g.ended.Load()
		return
	}
	s.Ended = count(fanout.Stopped)
	if !g.comesAndGoes() { // the group is told of connections one after the other
		s.Waiting = int64(g.Connections) - s.Connecting - s.Up - s.Ended
	}
	s.Asked = s.Waiting + s.Connecting + s.Up + s.Ended
}

// comesAndGoes reports whether this process has less than all of its connections at times, by intention.
func (g *LoadGen) comesAndGoes() bool { return g.Share != nil || g.staged() }

// countStreams returns how many HTTP/2 connections carry how many WebSockets.
func (g *LoadGen) countStreams() (sessions, streams int64) {
	stats := g.Mux.Stats()
	return int64(stats.Conns), int64(stats.Streams)
}
