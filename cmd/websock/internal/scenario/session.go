package scenario

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed004e8d11/websock"
)

// A state says how far the script of a connection is.
type state uint8

const (
	opening state = iota // sending what is sent when a connection opens
	hasty                // the same, and the messages follow at once
	ready                // all of that is done, and the messages may not be sent yet
	running              // sending the messages
	stopped              // sending nothing more
	states
)

// An event changes the state.
type event uint8

const (
	eventOpened event = iota // what is sent when a connection opens is done
	eventStart               // the messages may be sent
	eventStop                // nothing more is to be sent
	events
)

// transitions says to which state an event leads.
var transitions = [states][events]state{
	opening: {eventOpened: ready, eventStart: hasty, eventStop: stopped},
	hasty:   {eventOpened: running, eventStart: hasty, eventStop: stopped},
	ready:   {eventOpened: ready, eventStart: running, eventStop: stopped},
	running: {eventOpened: running, eventStart: running, eventStop: stopped},
	stopped: {stopped, stopped, stopped},
}

// A Session is the script of one connection, from when it is open. One goroutine at a time may call its
// methods, with times that don't go back.
type Session struct {
	scenario *Scenario
	epoch    time.Time     // times are relative to this
	timeout  time.Duration // of answers whose step says none
	share    float64       // part of the time from one message to the next that the first is late
	state    state
	values   values

	// Of the steps that follow one another:
	next    int           // number of the step among opening or loop
	at      time.Duration // when it is due
	waiting bool          // for the answer to it; at has no meaning then

	timed   []timer // of the steps with times of their own, when running
	pending pendingAnswers
	out     Outgoing // the message that Next has returned and Sent has not been called for
	isOut   bool
	buffer  []byte    // for what is rendered
	found   []finding // by the rules of the scenario, in the message that is being received
}

// A timer has the time at which a message is due next.
type timer struct {
	step    *step
	at      time.Duration
	counted time.Duration // the messages due before this were counted by Due
}

// Outgoing is a message to send.
type Outgoing struct {
	Opcode  websock.Opcode
	Payload []byte // valid until Next is called for another message
	Awaited bool   // it wants an answer
	answer  pendingAnswer
	timer   *timer // nil: it is sent in its turn
}

// NewSession returns the script of connection number of all. It begins now, when the connection has been
// opened. timeout is that of answers for which the scenario says none.
func (s *Scenario) NewSession(number, all int, timeout time.Duration, now time.Time) *Session {
	session := &Session{
		scenario: s,
		epoch:    now,
		timeout:  timeout,
		share:    float64(number) / float64(max(all, 1)),
		values:   values{Connection: number, Data: s.data.row(number)},
		found:    make([]finding, len(s.rules)),
	}
	if len(s.opening) == 0 {
		session.handle(eventOpened, 0)
	}
	return session
}

// handle changes the state.
func (s *Session) handle(e event, now time.Duration) {
	before := s.state
	s.state = transitions[before][e]
	if s.state == before || s.state != running {
		return
	}
	s.next, s.at = 0, max(now, s.at)
	s.timed = make([]timer, len(s.scenario.timed))
	for i, st := range s.scenario.timed {
		first := s.at + time.Duration(s.share*float64(st.every))
		s.timed[i] = timer{st, first, first}
	}
}

// Start lets the messages be sent.
func (s *Session) Start(now time.Time) { s.handle(eventStart, now.Sub(s.epoch)) }

// Stop has Next return nothing more. It returns how many messages were due and are not sent, and counts
// them as Due.
func (s *Session) Stop(now time.Time) (due, unsent int64) {
	due = s.Due(now)
	for i := range s.timed {
		t := &s.timed[i]
		unsent += int64((t.counted - t.at) / t.step.every)
	}
	s.isOut, s.out = false, Outgoing{}
	s.handle(eventStop, now.Sub(s.epoch))
	s.timed = nil
	return due, unsent
}

// Due returns how many messages with times of their own have become due since it was called last.
func (s *Session) Due(now time.Time) (n int64) {
	for i := range s.timed {
		t := &s.timed[i]
		if late := now.Sub(s.epoch) - t.counted; late >= 0 {
			k := int64(late/t.step.every) + 1
			t.counted += time.Duration(k) * t.step.every
			n += k
		}
	}
	return n
}

// steps returns the steps that follow one another now.
func (s *Session) steps() []*step {
	switch s.state {
	case opening, hasty:
		return s.scenario.opening
	case running:
		return s.scenario.loop
	}
	return nil
}

// earliest returns the message that is due first, when that is, and its timer if it has one; nil if none
// will be due before something is received or expires.
func (s *Session) earliest() (st *step, at time.Duration, t *timer) {
	full := s.pending.full()
	if steps := s.steps(); len(steps) > 0 && !s.waiting && !(full && steps[s.next].answer != nil) {
		st, at = steps[s.next], s.at
	}
	for i := range s.timed {
		next := &s.timed[i]
		if (st == nil || next.at < at) && !(full && next.step.answer != nil) {
			st, at, t = next.step, next.at, next
		}
	}
	return st, at, t
}

// Next returns a message that is due, or nil. Until Sent is called it returns the same one. An error
// says that the message can't be made, and so that the script can't go on.
func (s *Session) Next(now time.Time) (*Outgoing, error) {
	if s.isOut {
		return &s.out, nil
	}
	st, at, t := s.earliest()
	if st == nil || at > now.Sub(s.epoch) {
		return nil, nil
	}
	if err := s.render(st, now); err != nil {
		return nil, err
	}
	s.out.timer, s.out.answer.due = t, at
	s.isOut = true
	return &s.out, nil
}

var errNoID = errors.New("the message has not the ID by which its answer is recognized")

// render makes the next message.
func (s *Session) render(st *step, now time.Time) (err error) {
	s.values.Sequence++
	s.values.Time = now
	s.out = Outgoing{Opcode: websock.OpText, Awaited: st.answer != nil, answer: pendingAnswer{step: st}}
	if st.content.binary {
		s.out.Opcode = websock.OpBinary
	}
	if st.content.fixed != nil {
		s.out.Payload = st.content.fixed
	} else {
		s.buffer, err = st.content.append(s.buffer[:0], &s.values)
		s.out.Payload = s.buffer
	}
	if err != nil {
		return err
	}
	if len(s.out.Payload) > websock.DefaultMessageSize {
		return errTooLarge
	}
	if st.answer == nil || !st.answer.hasID() {
		return nil
	}
	id, ok := st.answer.sent.id(s.out.Payload)
	if !ok {
		return fmt.Errorf("%w: %.100q", errNoID, s.out.Payload)
	}
	s.out.answer.id = id
	return nil
}

// Sent says that the message of Next was sent. late is how long after it was due, if it has a schedule;
// else negative.
func (s *Session) Sent(now time.Time) (late time.Duration) {
	at := now.Sub(s.epoch)
	o := &s.out
	st := o.answer.step
	late = -1
	if o.timer != nil {
		late = max(at-o.answer.due, 0)
		o.timer.at += st.every
	} else {
		o.answer.due = at
	}
	if o.Awaited {
		o.answer.sent, o.answer.alone = at, o.timer != nil && len(s.pending.all) == 0
		s.pending.add(o.answer, s.timeoutOf(st))
	}
	if o.timer == nil {
		if s.waiting = o.Awaited; !s.waiting {
			s.advance(st, at)
		}
	}
	s.isOut = false
	return late
}

func (s *Session) timeoutOf(st *step) time.Duration {
	if st.timeout > 0 {
		return st.timeout
	}
	return s.timeout
}

// advance goes to the step after st, which is done.
func (s *Session) advance(st *step, now time.Duration) {
	s.waiting = false
	s.next++
	s.at = now + st.think
	switch {
	case s.next < len(s.steps()):
	case s.state == running:
		s.next = 0
	default:
		s.handle(eventOpened, s.at)
	}
}

// Wake returns when Next or Expire have something new, unless a message is received before.
func (s *Session) Wake() (at time.Time, ok bool) {
	var next time.Duration
	if st, at, _ := s.earliest(); st != nil {
		next, ok = at, true
	}
	if expiry := s.pending.nextExpiry; expiry > 0 && (!ok || expiry < next) {
		next, ok = expiry, true
	}
	return s.epoch.Add(next), ok
}

// InFlight returns how many answers are outstanding, and 1 more while the connection is being opened.
func (s *Session) InFlight() int {
	n := len(s.pending.all)
	if s.state == opening || s.state == hasty {
		n++
	}
	return n
}
