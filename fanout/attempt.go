package fanout

import (
	"context"
	"errors"
	"log/slog"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// An attempt is one try to connect a slot.
type attempt struct {
	slot   *Slot
	target *Target
	host   *host // set by the dialQueue
}

// enlist lets a slot wait for its turn to dial.
func (g *Group) enlist(s *Slot) {
	a := &attempt{slot: s, target: g.targetOf(s)}
	name, err := a.target.host()
	if err != nil {
		g.counts.began()
		s.failed(&unusable{err})
		return
	}
	g.dials.add(a, name)
}

// targetOf returns what the slot is to connect to.
func (g *Group) targetOf(s *Slot) *Target {
	if g.options.Choose == nil {
		return &g.options.Targets[s.number%len(g.options.Targets)]
	}
	t := g.options.Choose(s)
	return &t
}

// run makes the attempt.
func (a *attempt) run() {
	s, g := a.slot, a.slot.group
	defer g.dials.ended()
	if !s.begin() {
		g.dials.connected(a)
		return
	}
	began := g.now()
	conn, err := a.connect()
	g.dials.connected(a)
	if err == nil {
		g.counts.connected(g.now() - began)
		err = a.setUp(conn)
	}
	if err != nil {
		s.failed(err)
	}
}

// begin reports whether the slot still wants to be dialled.
func (s *Slot) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != Waiting {
		return false
	}
	s.move(Connecting)
	s.group.counts.began()
	return true
}

// connect prepares and dials.
func (a *attempt) connect() (*engine.Conn, error) {
	g := a.slot.group
	if g.options.Prepare != nil {
		if err := a.prepare(); err != nil {
			return nil, err
		}
	}
	var trace *websock.Trace
	if g.options.Trace != nil {
		trace = g.options.Trace(a.slot)
	}
	return a.target.dial(g.dialling, trace)
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

// setUp makes a connection the slot's.
func (a *attempt) setUp(conn *engine.Conn) error {
	ctx, cancel := a.bound()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Abort(ctx.Err()) })
	err := a.introduce(ctx, conn)
	stop()
	if err != nil {
		conn.CloseWith(engine.CloseGoingAway, "")
		a.slot.group.counts.retire(conn.Stats())
	}
	return err
}

// introduce sends what comes first: what OnConnect does, and what was kept. Then it publishes
// the connection.
func (a *attempt) introduce(ctx context.Context, conn *engine.Conn) error {
	s := a.slot
	if connect := s.group.options.OnConnect; connect != nil {
		if err := connect(ctx, s, conn); err != nil {
			return err
		}
	}
	l := newLink(s, conn, a.target.Config.Limits.WithDefaults())
	for {
		kept, err := s.publish(l)
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
func (s *Slot) publish(l *link) (*batch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.group.closing.Load() {
		return nil, ErrClosed
	}
	if kept := s.outbox.take(); kept != nil {
		return kept, nil
	}
	s.outbox = nil
	switch err := l.conn.SetHandler(l); { // which calls it from another goroutine
	case errors.Is(err, engine.ErrNoPush):
		return nil, &unusable{err}
	case err != nil:
		return nil, err
	}
	l.since = s.group.now()
	s.link, s.err = l, nil
	s.move(Up)
	s.group.counts.ready()
	s.beginKeepAlive()
	return nil, nil
}
