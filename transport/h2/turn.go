package h2

import (
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/goroutine"
	"github.com/seed004e8d11/websock/transport"
)

// lingerTime is how long the peer has to end the connection after the Session has ended.
const lingerTime = 2 * time.Second

// A turn is a call of the Session by its carrier, or what goes on in place of one after the carrier
// has ended. The goroutine of the turn calls the Receivers of the streams.
type turn struct {
	owner    uint32 // ID of the goroutine; 0: there is no turn. Under the Session's lock, as all but the last three
	woken    bool   // the carrier was asked for another turn
	orphaned bool   // the carrier makes no more turns: goroutines do, one at a time
	running  bool   // one of these goroutines runs

	calling *Stream        // whose Receiver is being called
	given   int            // bytes of payload that it was called with
	kept    *buffer.Buffer // what a turn that a Receiver has ended has not handled; nil: nothing
}

// isMine reports whether the calling goroutine is that of the turn.
func (t *turn) isMine() bool { return t.owner != 0 && t.owner == goroutine.ID() }

// A receiver is a Session as the transport.Receiver of its carrier.
type receiver Session

// Readable handles what has arrived, and calls the Receivers that are to be called for another
// reason.
func (r *receiver) Readable() error {
	s := (*Session)(r)
	returned := false
	defer func() {
		if !returned {
			s.keepRest()
		}
	}()
	s.beginTurn()
	err := s.receive()
	if err != nil {
		s.lock()
		s.carrierEndedLocked(err)
		s.unlock()
	}
	err = s.endTurn()
	returned = true
	return err
}

// End ends the Session: the carrier is closed.
func (r *receiver) End(err error) {
	s := (*Session)(r)
	s.beginTurn()
	s.lock()
	s.carrierEndedLocked(err)
	s.unlock()
	s.endTurn()
}

// Finish closes the carrier, or goes on after a Receiver of a stream has ended the carrier's
// goroutine.
func (r *receiver) Finish() {
	s := (*Session)(r)
	s.mu.Lock()
	s.turn.owner = 0
	s.mu.Unlock()
	if st := s.turn.calling; st != nil {
		s.turn.calling = nil
		st.finish()
	}
	if !s.hasEnded() {
		err := s.pusher.Push(r)
		if err == nil {
			return
		}
		s.lock()
		s.carrierEndedLocked(err)
		s.unlock()
	}
	s.orphan()
	s.deliver()
	s.release()
	s.carrier.CloseWrite() // if this fails, Linger ends with a timeout
	s.carrier.Linger(lingerTime)
	close(s.done)
}

// beginTurn makes the calling goroutine that of the turn.
func (s *Session) beginTurn() {
	s.lock()
	s.turn.owner = goroutine.ID()
	s.turn.woken = false
	s.carrierDrainedLocked()
	s.unlock()
}

// endTurn calls the Receivers that are due, writes what they and others have sent, and returns the
// error with which the Session has ended, if it has.
func (s *Session) endTurn() error {
	s.callScheduled()
	s.lock()
	defer s.unlock()
	s.turn.owner = 0
	s.turn.woken = true // what is scheduled meanwhile is seen below
	s.checkOverdueLocked()
	s.flushBehindLocked()
	s.turn.woken = false
	if s.phase == ended {
		return s.err
	}
	if s.scheduled.len() > 0 {
		if s.turn.woken = s.pusher.Yield(); !s.turn.woken {
			s.wakeLocked()
		}
	}
	return nil
}

// checkOverdueLocked acts on the deadlines that have passed during the turn.
func (s *Session) checkOverdueLocked() {
	overdue := s.overdue
	s.overdue = nil
	for _, st := range overdue {
		st.checkDeadlinesLocked()
	}
}

// callScheduled calls the Receivers that are scheduled now, and not those that these schedule.
func (s *Session) callScheduled() {
	s.mu.Lock()
	n := s.scheduled.len()
	s.mu.Unlock()
	for ; n > 0; n-- {
		s.mu.Lock()
		st := s.scheduled.take()
		s.mu.Unlock()
		if st == nil {
			return
		}
		st.run()
	}
}

// A runQueue has the streams whose Receivers are to be called, in order.
type runQueue struct {
	streams []*Stream
	first   int // those before it were taken
}

// keptQueue is the size of a runQueue that is kept while it is empty.
const keptQueue = 64

func (q *runQueue) len() int { return len(q.streams) - q.first }

func (q *runQueue) add(st *Stream) {
	if len(q.streams) == cap(q.streams) && q.first > len(q.streams)/2 { // it need not be empty ever
		n := copy(q.streams, q.streams[q.first:])
		clear(q.streams[n:])
		q.streams, q.first = q.streams[:n], 0
	}
	q.streams = append(q.streams, st)
}

// take returns the first stream, or nil if there is none.
func (q *runQueue) take() *Stream {
	if q.len() == 0 {
		return nil
	}
	st := q.streams[q.first]
	q.streams[q.first] = nil
	q.first++
	switch {
	case q.len() > 0:
	case cap(q.streams) > keptQueue:
		*q = runQueue{}
	default:
		q.streams, q.first = q.streams[:0], 0
	}
	return st
}

// scheduleLocked has the Receiver of a stream called soon.
func (s *Session) scheduleLocked(st *Stream) {
	if st.has(pushed) && !st.has(scheduled|finished) {
		st.flags |= scheduled
		s.scheduled.add(st)
		s.wakeLocked()
	}
}

// wakeLocked has the carrier make a turn soon. A turn under way looks for itself when it ends.
func (s *Session) wakeLocked() {
	t := &s.turn
	switch {
	case t.orphaned:
		if !t.running {
			t.running = true
			go s.runOrphaned()
		}
	case t.owner == 0 && !t.woken:
		t.woken = true
		s.pusher.Resume()
	}
}

// orphan is called when the carrier makes no more turns.
func (s *Session) orphan() {
	s.mu.Lock()
	s.turn.orphaned = true
	if s.scheduled.len() > 0 {
		s.wakeLocked()
	}
	s.mu.Unlock()
}

// release gives back the buffers, when nothing more is sent or received.
func (s *Session) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.stop()
	s.parser.drop()
	if s.turn.kept != nil {
		s.turn.kept.Put()
		s.turn.kept = nil
	}
}

// runOrphaned makes the turns after the carrier has ended, as long as Receivers are scheduled.
func (s *Session) runOrphaned() {
	returned := false
	defer func() {
		if !returned { // a Receiver has ended the goroutine
			go s.resumeOrphaned()
		}
	}()
	for s.orphanedGoesOn() {
		s.callScheduled()
	}
	returned = true
}

func (s *Session) resumeOrphaned() {
	if st := s.turn.calling; st != nil {
		s.turn.calling = nil
		st.finish()
	}
	s.runOrphaned()
}

func (s *Session) orphanedGoesOn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn.running = s.scheduled.len() > 0
	return s.turn.running
}

// receive handles what the carrier has, and returns its error.
func (s *Session) receive() error {
	for !s.hasEnded() {
		p := &s.parser
		if s.turn.kept != nil {
			p.view = s.turn.kept.B
			s.parse()
			s.turn.kept.Put()
			s.turn.kept = nil
			continue
		}
		view, err := s.carrier.View()
		if err != nil {
			if err == transport.ErrWouldBlock {
				return s.sendErr()
			}
			failed, ok := err.(*transport.SendError)
			if !ok {
				return err
			}
			s.lock()
			s.sendingFailedLocked(failed.Err)
			s.unlock()
			continue
		}
		s.received.Add(uint64(len(view)))
		p.view, p.viewSize = view, len(view)
		s.parse()
		s.carrier.Consume(p.viewSize)
		p.viewSize = 0
	}
	return nil
}

// sendErr returns why the carrier can't send any more, or nil.
func (s *Session) sendErr() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.err
}

// keepRest keeps what was not handled of the view, when a Receiver has ended the goroutine.
func (s *Session) keepRest() {
	if st := s.turn.calling; st != nil {
		s.lock()
		s.keepViewLocked(st)
		s.unlock()
	}
	p := &s.parser
	old := s.turn.kept
	s.turn.kept = nil
	if len(p.view) > 0 || p.data.isComplete() {
		s.turn.kept = buffer.Get(len(p.view))
		s.turn.kept.B = append(s.turn.kept.B, p.view...)
	}
	switch {
	case old != nil:
		old.Put()
	case p.viewSize > 0:
		s.carrier.Consume(p.viewSize)
	}
	p.view, p.viewSize = nil, 0
}

func (s *Session) hasEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase == ended
}

// carrierEndedLocked ends the Session after its carrier.
func (s *Session) carrierEndedLocked(err error) {
	s.out.stop()
	s.endLocked(s.causeLocked(err))
}
