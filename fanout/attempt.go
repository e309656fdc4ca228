package fanout

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/seed004e8d11/websock"
)

// An attempt is one try to connect a slot.
type attempt struct {
	slot   *Slot
	set    *targetSet // from which target is; nil: it comes from Choose
	target *Target
	state  *targetState  // of target
	choice choice        // of set
	conn   *websock.Conn // nil: there is none yet
	err    error         // with which the attempt has failed

	ctx     context.Context // ends when Shutdown or the slot aborts the attempt
	cancel  context.CancelFunc
	dialing bool         // Prepare has returned
	rotated *rotatedDial // nil: there is no Rotation, or nothing was dialed

	// inCall says that a function of Options is being called. It still does after one that has
	// panicked or called runtime.Goexit.
	inCall bool

	dial dialState // belongs to the dialQueue
}

// enqueue has slots put into the dialQueue.
func (g *Group) enqueue(slots ...*Slot) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.toEnqueue = append(g.toEnqueue, slots...)
	if !g.enqueuing {
		g.enqueuing = true
		g.running++
		go g.enqueueAll()
	}
}

// enqueueAll works until toEnqueue is empty. It has a goroutine of its own since it calls Choose,
// which belongs to the application and may take its time.
func (g *Group) enqueueAll() {
	defer g.doneRunning()
	for {
		s := g.nextToEnqueue()
		if s == nil {
			return
		}
		s.newAttempt()
	}
}

func (g *Group) nextToEnqueue() (s *Slot) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.toEnqueue) == 0 {
		g.toEnqueue, g.enqueuing = nil, false
		return nil
	}
	s = g.toEnqueue[0]
	g.toEnqueue[0] = nil
	g.toEnqueue = g.toEnqueue[1:]
	return s
}

// restartEnqueuing replaces a goroutine of enqueueAll that Choose has ended.
func (g *Group) restartEnqueuing() {
	g.mu.Lock()
	g.enqueuing = false
	g.mu.Unlock()
	g.enqueue()
}

// newAttempt chooses what the slot connects to, and lets it wait for its turn.
func (s *Slot) newAttempt() {
	if !s.takeTurn() {
		return
	}
	a := &attempt{slot: s, inCall: true}
	defer a.enqueue()
	a.choose()
	a.inCall = false
}

// takeTurn reports whether the slot is to be dialed, now that it is its turn to choose a target.
func (s *Slot) takeTurn() bool {
	now, ended := s.tryTurn()
	if ended {
		s.finish()
	}
	return now
}

func (s *Slot) tryTurn() (now, ended bool) {
	m := &s.group.members
	m.mu.Lock() // so that no slot with the same key is removed now that may have a connection
	defer m.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.phase != enlisted:
		return false, false
	case s.dropLocked():
		return false, s.endedLocked()
	case m.blocksLocked(s):
		s.handleLocked(eventBlocked)
		return false, false
	}
	return s.handleLocked(eventTurn), false
}

// dropLocked reports whether the slot isn't to be dialed any more, and settles it then.
func (s *Slot) dropLocked() bool {
	s.stopIfClosingLocked()
	return s.intent >= stop && s.handleLocked(eventDropped)
}

// enqueue is deferred: it puts the attempt into the dialQueue, or lets it fail.
func (a *attempt) enqueue() {
	s, g := a.slot, a.slot.group
	host := ""
	if a.inCall {
		v := recover()
		if v == nil { // runtime.Goexit ends this goroutine
			defer g.restartEnqueuing()
		}
		a.err = s.recovered(v)
	} else if h, err := a.target.host(); err != nil {
		a.err = &targetError{err}
	} else if host = h; a.state == nil {
		a.state = g.memory.stateOf(a.target, host)
	}
	if a.err != nil {
		g.counts.attempt()
		a.failed()
		return
	}
	queued, urgent, ended := s.queue(a)
	switch {
	case queued:
		g.dials.add(a, host, urgent)
	case ended:
		s.finish()
	}
}

// queue reports whether the attempt is to be put into the dialQueue, and whether it is urgent, or
// else whether the slot has ended.
func (s *Slot) queue(a *attempt) (queued, urgent, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dropLocked() {
		return false, false, s.endedLocked()
	}
	s.attempt = a
	return s.handleLocked(eventChosen), s.intent == hurry, false
}

// start makes the attempt, in a goroutine of its own.
func (a *attempt) start() {
	a.slot.group.addRunning()
	go a.run()
}

func (a *attempt) run() {
	g := a.slot.group
	defer g.doneRunning()
	a.ctx, a.cancel = context.WithCancel(g.dialCtx)
	defer a.cancel()
	if g.memory.isStale(a) { // not only after a change: the time of avoidance of the slot's own Target may be over
		a.rechoose()
	}
	if !a.slot.beginAttempt(a) {
		g.dials.ended(a, errAborted)
		return
	}
	defer a.end()
	a.inCall = true
	a.err = a.connect()
	a.inCall = false
}

// beginAttempt reports whether the slot is still to be dialed by this attempt.
func (s *Slot) beginAttempt(a *attempt) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.group.closing() || s.attempt != a || !s.handleWithLocked(eventDial, goOn) {
		return false
	}
	s.group.counts.attempt()
	return true
}

// end is deferred: it closes the connection of an attempt that has failed, and then takes the slot
// down. So the slot has no other connection when it is dialed again.
func (a *attempt) end() {
	if a.inCall {
		a.err = a.slot.recovered(recover())
	}
	err := a.err
	if cause := a.slot.whyAborted(); err != nil && cause != nil {
		a.err, err = cause, errAborted
	} else {
		a.dial.unblamed = err != nil && !a.blamesTarget()
		a.noteFailure()
	}
	a.slot.group.dials.ended(a, err)
	if a.err == nil {
		return
	}
	if a.conn != nil {
		a.close()
	}
	a.failed()
}

// whyAborted returns why the slot has aborted its attempt, nil if it hasn't.
func (s *Slot) whyAborted() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.group.closing():
	case s.intent == hurry:
		return errReconnect
	case s.intent == stop:
		return errStopped
	case s.intent == leave:
		return ErrRemoved
	}
	return nil
}

// close closes the connection of an attempt that has failed, or aborts it if the slot aborts the attempt.
func (a *attempt) close() {
	g := a.slot.group
	defer whenDone(g.connCtx, func() { a.conn.Abort(ErrClosed) })()
	defer whenDone(a.ctx, func() {
		if cause := a.slot.whyAborted(); cause != nil {
			a.conn.Abort(cause)
		}
	})()
	a.conn.CloseWith(websock.CloseGoingAway, "")
	g.counts.traffic(a.conn.Stats())
}

// whenDone calls f when ctx ends. stop keeps it from that and returns true, or waits until f has returned.
func whenDone(ctx context.Context, f func()) (stop func() bool) {
	done := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(done)
		f()
	})
	return sync.OnceValue(func() bool {
		if cancel() {
			return true
		}
		<-done
		return false
	})
}

// connect opens a connection and makes it the slot's.
func (a *attempt) connect() error {
	g := a.slot.group
	began := g.now()
	err := a.open()
	if err != nil && a.slot.whyAborted() != nil {
		err = errAborted
	}
	g.dials.connected(a, err)
	if err != nil {
		return err
	}
	g.counts.connected(g.now() - began)
	ctx, cancel := a.withTimeout()
	defer cancel()
	conn := a.conn
	stop := whenDone(ctx, func() { conn.Abort(ctx.Err()) })
	defer stop()
	return a.setUp(ctx, stop)
}

// open calls Prepare and dials.
func (a *attempt) open() (err error) {
	g := a.slot.group
	if g.options.Prepare != nil && !g.over() {
		if err := a.prepare(); err != nil {
			return err
		}
	}
	if a.ctx.Err() != nil { // and maybe Shutdown has returned, if Prepare has not in time
		return ErrClosed
	}
	var trace *websock.Trace
	if g.options.Trace != nil {
		trace = g.options.Trace(a.slot)
	}
	if trace == nil {
		trace = a.target.Config.Trace
	}
	a.dialing = true
	if a.target.Config.Mux == nil {
		a.conn, err = a.target.dial(a.ctx, a, trace)
		return err
	}
	d := &dialTrace{attempt: a}
	a.conn, err = a.target.dial(a.ctx, a, d.wrap(trace))
	return d.end(err)
}

// prepare lets the application change the Target.
func (a *attempt) prepare() error {
	own := *a.target
	a.target = &own
	ctx, cancel := a.withTimeout()
	defer cancel()
	if err := a.slot.group.options.Prepare(ctx, a.slot, a.target); err != nil {
		return err
	}
	if _, err := a.target.host(); err != nil {
		return &targetError{err}
	}
	return nil
}

// withTimeout returns a context for Prepare or OnConnect.
func (a *attempt) withTimeout() (context.Context, context.CancelFunc) {
	ctx := a.ctx
	d := orDefault(a.target.Config.Timeout, websock.DefaultTimeout)
	if d < 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// setUp sends what has to come first on the connection: what OnConnect sends, and what was kept.
// Then it publishes the connection. stopTimeout is as for publish.
func (a *attempt) setUp(ctx context.Context, stopTimeout func() bool) error {
	s, conn := a.slot, a.conn
	if connect := s.group.options.OnConnect; connect != nil && !s.group.over() {
		if err := connect(ctx, s, conn); err != nil {
			return err
		}
	}
	a.noteSuccess()
	l := newLink(s, conn, a.target, a.state)
	for {
		kept, err := s.publish(l, stopTimeout)
		switch {
		case err != nil:
			return err
		case kept == nil:
			s.group.logSlot(slog.LevelDebug, "connected", s)
			return nil
		}
		unsent, err := kept.send(conn)
		kept.release()
		s.reportUnsent(unsent, err)
		if conn.Err() != nil {
			return conn.Err()
		}
	}
}

// publish makes the link the slot's: from then on everybody can send on it. If messages were kept
// meanwhile it returns them instead, since they have to be sent first. stopTimeout ends the bound
// of OnConnect; it returns false if that has aborted the connection.
func (s *Slot) publish(l *link, stopTimeout func() bool) (kept *batch, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.group.closing():
		return nil, ErrClosed
	case s.intent != goOn:
		return nil, errAborted
	}
	if kept := s.outbox.takeLocked(); kept != nil {
		return kept, nil
	}
	if !stopTimeout() { // once the slot is up, Shutdown closes the connection in an orderly way
		return nil, l.conn.Err()
	}
	s.outbox = nil
	switch err := l.conn.SetHandler(l); { // which calls it from another goroutine
	case errors.Is(err, websock.ErrNoPush):
		return nil, &targetError{err}
	case err != nil:
		return nil, err
	}
	l.upSince = s.group.now()
	s.attempt, s.link, s.err = nil, l, nil
	s.handleLocked(eventConnected)
	s.group.counts.ready()
	s.startKeepAliveLocked()
	return nil, nil
}
