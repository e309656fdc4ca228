package loadgen

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/scenario"
)

// scripts is what all scripted conversations of a LoadGen share.
type scripts struct {
	*scenario.Scenario
	first   int           // number of the first connection
	all     int           // connections of all processes
	timeout time.Duration // of answers for which the scenario says none

	counts    []atomic.Int64 // by the names of the scenario
	unclaimed atomic.Int64   // answers that nothing waited for
	ahead     atomic.Int64   // messages that say that they were sent in the future
}

// counted returns the messages that were counted, by name.
func (s *scripts) counted() map[string]int64 {
	counted := map[string]int64{}
	for i, name := range s.Counts() {
		counted[name] = s.counts[i].Load()
	}
	for name, n := range map[string]int64{
		"answers that nothing waited for": s.unclaimed.Load(),
		"times ahead of this clock":       s.ahead.Load(),
	} {
		if n > 0 {
			counted[name] = n
		}
	}
	return counted
}

// newScripts returns nil if there is no scenario.
func newScripts(c *Config) *scripts {
	if c.Scenario == nil {
		return nil
	}
	return &scripts{
		Scenario: c.Scenario,
		first:    c.First,
		all:      max(c.All, c.Connections),
		timeout:  c.AnswerTimeout,
		counts:   make([]atomic.Int64, len(c.Scenario.Counts())),
	}
}

// A scripted conversation does what a scenario says.
type scripted struct {
	*connection
	scripts *scripts

	mu      sync.Mutex
	session *scenario.Session
	timer   *time.Timer // calls advance when something is due; nil: the script has ended
}

const (
	// maxAtOnce bounds how many messages of a connection are sent before others have their turn.
	maxAtOnce = 256

	// tryAgainAfter is when a message is tried again that can't be sent because the server doesn't read.
	tryAgainAfter = 5 * time.Millisecond
)

// newScripted begins with what the connection sends when it is open. Nothing is received before the
// connection is in its slot.
func newScripted(c *connection) *scripted {
	g := c.gen
	s := &scripted{connection: c, scripts: g.scripts}
	s.mu.Lock() // advance waits for the timer to be set
	defer s.mu.Unlock()
	s.session = s.scripts.NewSession(s.scripts.first+c.number, s.scripts.all, s.scripts.timeout, time.Now())
	s.timer = time.AfterFunc(0, s.advance)
	return s
}

// script returns what the connection of a LoadGen with a scenario does.
func (c *connection) script() *scripted { return c.conversation.(*scripted) }

// start also sends what is due at once when the exchange is over already.
func (s *scripted) start() {
	s.mu.Lock()
	now := time.Now()
	s.session.Start(now)
	err := s.sendDueLocked(now)
	s.mu.Unlock()
	s.giveUp(err)
}

// advance does what is due.
func (s *scripted) advance() {
	s.mu.Lock()
	err := s.advanceLocked()
	s.mu.Unlock()
	s.giveUp(err)
}

// giveUp closes the connection if the script can't go on.
func (s *scripted) giveUp(err error) {
	switch {
	case err == nil:
		return
	case !errors.Is(err, errNoAnswer):
		s.gen.failures.add("scenario error", 1, err)
	}
	s.CloseWith(websock.CloseGoingAway, "the scenario can't go on")
}

// errNoAnswer says that a message was not answered without whose answer the script can't go on. It has
// been counted.
var errNoAnswer = errors.New("no answer to a message that is sent when the connection opens")

// advanceLocked does what is due, and sets the timer for what comes next. An error says that the script has
// ended since it can't go on.
func (s *scripted) advanceLocked() error {
	if s.timer == nil {
		return nil
	}
	now := time.Now()
	overdue, failed := s.session.Expire(now)
	if overdue > 0 {
		s.gen.failures.add("answer timeout", int64(overdue), nil)
	}
	if failed {
		s.endLocked(now)
		return errNoAnswer
	}
	if !s.gen.is(dialing) && !s.gen.is(exchanging) {
		s.stopLocked(now)
	}
	return s.sendDueLocked(now)
}

// sendDueLocked sends what is due, and sets the timer for what comes next. An error is one of advanceLocked.
func (s *scripted) sendDueLocked(now time.Time) error {
	if s.timer == nil {
		return nil
	}
	s.due.Add(s.session.Due(now))
	blocked, err := s.sendLocked(now)
	if err != nil {
		s.endLocked(now)
		return err
	}
	if blocked {
		s.timer.Reset(tryAgainAfter)
	} else if at, ok := s.session.Wake(); ok {
		s.timer.Reset(time.Until(at))
	}
	return nil
}

// sendLocked sends what is due. blocked says that the server doesn't read.
func (s *scripted) sendLocked(now time.Time) (blocked bool, err error) {
	for range maxAtOnce {
		out, err := s.session.Next(now)
		if out == nil || err != nil {
			return false, err
		}
		now = time.Now()
		if err := s.trySendLocked(out); err != nil {
			if errors.Is(err, websock.ErrInvalidUTF8) {
				return false, err
			}
			return true, nil // onClose follows, unless the queue is full
		}
		if late := s.session.Sent(now); late >= 0 {
			s.lateness.Record(late)
		}
	}
	return false, nil
}

// trySendLocked sends a message, or returns an error at once.
func (s *scripted) trySendLocked(out *scenario.Outgoing) error {
	if err := s.TrySend(out.Opcode, out.Payload); err != nil {
		return err
	}
	if out.Awaited {
		s.countAwaited(len(out.Payload))
	} else {
		s.countSent(len(out.Payload))
	}
	return nil
}

func (s *scripted) onMessage(op websock.Opcode, msg []byte) {
	now := time.Now()
	s.mu.Lock()
	r := s.session.Receive(now, msg)
	s.record(&r)
	var err error
	if r.Answered {
		err = s.advanceLocked()
	}
	s.mu.Unlock()
	for i, name := range s.scripts.Failures() {
		if r.Failures&(1<<i) != 0 {
			s.gen.failures.add(name, 1, fmt.Errorf("%v of %d bytes: %.200q", op, len(msg), msg))
		}
	}
	s.giveUp(err)
}

// record counts what a message was.
func (s *scripted) record(r *scenario.Reception) {
	if r.Answered {
		s.answered.Add(1)
		if !r.Opening {
			s.latency.Record(r.Latency)
		}
		if r.ClosedLoop >= 0 {
			s.closedLoop.Record(r.ClosedLoop)
		}
	}
	if r.Unclaimed {
		s.scripts.unclaimed.Add(1)
	}
	if r.Timestamp {
		s.oneWay.Record(r.OneWay)
		if r.OneWay < 0 {
			s.scripts.ahead.Add(1)
		}
	}
	for i := range s.scripts.counts {
		if r.Counts&(1<<i) != 0 {
			s.scripts.counts[i].Add(1)
		}
	}
}

// stop has the conversation send nothing more.
func (s *scripted) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopLocked(time.Now())
}

func (s *scripted) stopLocked(now time.Time) {
	due, unsent := s.session.Stop(now)
	s.due.Add(due)
	s.unsent.Add(unsent)
}

// endLocked ends the script. What it waits for will not come.
func (s *scripted) endLocked(now time.Time) {
	s.stopLocked(now)
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// end ends the script.
func (s *scripted) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(time.Now())
}

func (s *scripted) onClose(error) { s.end() }

func (s *scripted) inFlight() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(s.session.InFlight())
}

// stopScripts has all scripted conversations send nothing more.
func (g *LoadGen) stopScripts() { g.eachScript((*scripted).stop) }

// endScripts ends all scripts.
func (g *LoadGen) endScripts() { g.eachScript((*scripted).end) }

func (g *LoadGen) eachScript(f func(*scripted)) {
	if g.Scenario == nil {
		return
	}
	for i := range g.slots {
		if c := g.slots[i].conn.Load(); c != nil {
			f(c.script())
		}
	}
}

// timeoutKind returns the kind of a failure that is a missing answer.
func (g *LoadGen) timeoutKind() string {
	if g.Scenario != nil {
		return "answer timeout"
	}
	return "echo timeout"
}

// expectsEnd reports whether the scenario expects that the server closes a connection like this.
func (g *LoadGen) expectsEnd(err error) bool {
	var closed *websock.CloseError
	return g.Scenario != nil && errors.As(err, &closed) && g.Scenario.ExpectsClose(closed.Code)
}

// countUnanswered counts the messages whose answers won't come, since the server has closed the connection
// as expected.
func (g *LoadGen) countUnanswered(c *connection, err error) {
	if missing := c.script().inFlight(); missing > 0 {
		g.failures.add("unanswered at close", missing, err)
	}
}
