package fanout

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/seed004e8d11/websock"
)

// An attempt is one try to connect a slot.
type attempt struct {
	slot     *Slot
	target   *Target
	conn     *websock.Conn // nil: there is none yet
	err      error         // how it ended
	returned bool          // the functions of Options have, so far

	// The dialQueue's own.
	host     *host
	began    time.Time
	progress progress
	probe    bool // to a silent host
	opened   bool // it isn't connecting any more
}

// progress is how far an attempt is.
type progress uint8

const (
	queuedAttempt  progress = iota // waits for its turn
	countedAttempt                 // is under way
	overdueAttempt                 // is under way for so long that it no longer counts
	endedAttempt
)

// name names the target where it is logged: what follows the path may be secret.
func (t *Target) name() string {
	if t.URL != "" {
		name, _, _ := strings.Cut(t.URL, "?")
		return name
	}
	scheme := "ws://"
	if t.Config.Secure {
		scheme = "wss://"
	}
	host, _ := t.host()
	path, _, _ := strings.Cut(t.Config.Path, "?")
	return scheme + host + path
}

// enlist lets slots wait for their turn to dial.
func (g *Group) enlist(slots ...*Slot) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.toEnlist = append(g.toEnlist, slots...)
	if !g.enlisting {
		g.enlisting = true
		g.running++
		go g.enlistAll()
	}
}

// enlistAll enlists slots until there are none. It calls Choose, which is the application's, and
// therefore in a goroutine that nobody waits for.
func (g *Group) enlistAll() {
	defer g.done()
	for {
		s := g.nextToEnlist()
		if s == nil {
			return
		}
		s.join()
	}
}

func (g *Group) nextToEnlist() (s *Slot) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.toEnlist) == 0 {
		g.enlisting = false
		return nil
	}
	s = g.toEnlist[0]
	g.toEnlist[0] = nil
	g.toEnlist = g.toEnlist[1:]
	return s
}

// join chooses what the slot is to connect to, and lets it wait for its turn.
func (s *Slot) join() {
	g := s.group
	a := &attempt{slot: s}
	defer a.joined()
	if g.closing.Load() {
		a.returned = true
		return
	}
	a.target = g.targetOf(s)
	a.returned = true
}

// joined puts an attempt into the dialQueue, or takes its failure.
func (a *attempt) joined() {
	s, g := a.slot, a.slot.group
	name := ""
	if !a.returned {
		v := recover()
		if v == nil { // the goroutine ends: the next slot needs another one
			defer g.goOnEnlisting()
		}
		a.err = s.panicked(v)
	} else if a.target == nil {
		return
	} else if n, err := a.target.host(); err != nil {
		a.err = &unusable{err}
	} else {
		name = n
	}
	if a.err != nil {
		g.counts.began()
		s.failed(a.err)
		return
	}
	s.mu.Lock()
	urgent := s.urgent
	s.urgent = false
	s.mu.Unlock()
	g.dials.add(a, name, urgent)
}

// goOnEnlisting replaces the goroutine that enlists if it ends too early.
func (g *Group) goOnEnlisting() {
	g.mu.Lock()
	g.enlisting = false
	g.mu.Unlock()
	g.enlist()
}

// targetOf returns what the slot is to connect to.
func (g *Group) targetOf(s *Slot) *Target {
	if g.options.Choose == nil {
		return &g.options.Targets[s.number%len(g.options.Targets)]
	}
	t := g.options.Choose(s)
	return &t
}

// start makes the attempt, in a goroutine of its own.
func (a *attempt) start() {
	a.slot.group.begin()
	go a.run()
}

func (a *attempt) run() {
	g := a.slot.group
	defer g.done()
	if !a.slot.begin() {
		g.dials.ended(a, nil)
		return
	}
	defer a.hangUp()
	defer a.end()
	a.returned = false
	a.err = a.connect()
	a.returned = true
}

// begin reports whether the slot still wants to be dialled.
func (s *Slot) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != Waiting || s.group.closing.Load() {
		return false
	}
	s.move(Connecting)
	s.group.counts.began()
	return true
}

// end takes the end of the attempt, however it came.
func (a *attempt) end() {
	if !a.returned {
		a.err = a.slot.panicked(recover())
	}
	a.slot.group.dials.ended(a, a.err)
	if a.err != nil {
		a.slot.failed(a.err)
	}
}

// hangUp closes the connection of an attempt that has failed. Nobody waits for it but Shutdown.
func (a *attempt) hangUp() {
	if a.err == nil || a.conn == nil {
		return
	}
	g := a.slot.group
	stop := context.AfterFunc(g.lasting, func() { a.conn.Abort(ErrClosed) })
	defer stop()
	a.conn.CloseWith(websock.CloseGoingAway, "")
	g.counts.retire(a.conn.Stats())
}

// connect opens a connection and makes it the slot's.
func (a *attempt) connect() error {
	g := a.slot.group
	began := g.now()
	err := a.open()
	g.dials.connected(a, err == nil)
	if err != nil {
		return err
	}
	g.counts.connected(g.now() - began)
	return a.setUp()
}

// open prepares and dials.
func (a *attempt) open() (err error) {
	g := a.slot.group
	if g.options.Prepare != nil && !g.over.Load() {
		if err := a.prepare(); err != nil {
			return err
		}
	}
	if g.closing.Load() { // and may be over: Prepare needn't have returned in time
		return ErrClosed
	}
	var trace *websock.Trace
	if g.options.Trace != nil {
		trace = g.options.Trace(a.slot)
	}
	a.conn, err = a.target.dial(g.dialling, a.slot, trace)
	return err
}

// prepare has the application change the Target.
func (a *attempt) prepare() error {
	own := *a.target
	a.target = &own
	ctx, cancel := a.bound()
	defer cancel()
	if err := a.slot.group.options.Prepare(ctx, a.slot, a.target); err != nil {
		return err
	}
	if _, err := a.target.host(); err != nil {
		return &unusable{err}
	}
	return nil
}

// bound returns a context for a call of the application's.
func (a *attempt) bound() (context.Context, context.CancelFunc) {
	ctx := a.slot.group.dialling
	d := orDefault(a.target.Config.Timeout, websock.DefaultTimeout)
	if d < 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// setUp makes the connection the slot's.
func (a *attempt) setUp() error {
	ctx, cancel := a.bound()
	defer cancel()
	conn := a.conn
	keep := context.AfterFunc(ctx, func() { conn.Abort(ctx.Err()) })
	defer keep()
	return a.introduce(ctx, keep)
}

// introduce sends what comes first: what OnConnect does, and what was kept. Then it publishes
// the connection. keep ends the bound of all that, or returns false after it has ended the
// connection.
func (a *attempt) introduce(ctx context.Context, keep func() bool) error {
	s, conn := a.slot, a.conn
	if connect := s.group.options.OnConnect; connect != nil && !s.group.over.Load() {
		if err := connect(ctx, s, conn); err != nil {
			return err
		}
	}
	l := newLink(s, conn, a.target.Config.Limits.WithDefaults())
	for {
		kept, err := s.publish(l, keep)
		switch {
		case err != nil:
			return err
		case kept == nil:
			s.group.log(slog.LevelDebug, "connected", s)
			return nil
		}
		unsent, err := kept.send(conn)
		kept.done()
		s.unsent(unsent, err)
		if conn.Err() != nil {
			return conn.Err()
		}
	}
}

// publish makes the link the slot's, from when on everybody can send. Before, it returns what
// was kept meanwhile, which has to be sent first.
func (s *Slot) publish(l *link, keep func() bool) (*batch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.group.closing.Load() {
		return nil, ErrClosed
	}
	if kept := s.outbox.take(); kept != nil {
		return kept, nil
	}
	if !keep() { // once the slot is up, only Shutdown may end the connection, and orderly
		return nil, l.conn.Err()
	}
	s.outbox = nil
	switch err := l.conn.SetHandler(l); { // which calls it from another goroutine
	case errors.Is(err, websock.ErrNoPush):
		return nil, &unusable{err}
	case err != nil:
		return nil, err
	}
	l.since = s.group.now()
	s.link, s.err = l, nil
	s.move(Up)
	s.group.counts.ready()
	s.startKeepAliveLocked()
	return nil, nil
}
