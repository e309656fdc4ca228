package h2

import (
	"slices"

	"github.com/seed004e8d11/websock/internal/goroutine"
)

// Cork holds back what the calling goroutine sends on the streams until it calls Flush, or until 64 KiB
// wait. Each Cork needs a Flush of the same goroutine.
//
// What another goroutine sends meanwhile is written at once, with all that is held back before it, and so
// is what the Session sends by itself: the answer to a PING, for example. Several goroutines may use Cork at
// the same time. One that waits for a response, for bytes or the end of a stream, or in Drain, has what it holds
// back written first, and so may wait for an answer; one that calls Shutdown, too. Config.Trace is not called by
// it until Flush.
func (s *Session) Cork() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.corks = append(s.out.corks, goroutine.ID())
}

// Flush ends a Cork. What was held back is written, unless the goroutine has called Cork more often.
func (s *Session) Flush() {
	s.lock()
	defer s.unlock()
	s.out.uncork()
	s.commitLocked()
}

// uncorkWaiterLocked writes what the calling goroutine holds back, since it is about to wait for the peer,
// which may wait for that. It is called where a goroutine waits, or is likely to.
func (s *Session) uncorkWaiterLocked() {
	if s.out.isCorked() {
		s.flushLocked()
	}
}

// isCorked reports whether the calling goroutine has called Cork and not Flush yet. It is likely to be
// the last one that has.
func (o *output) isCorked() bool {
	if len(o.corks) == 0 {
		return false
	}
	id := goroutine.ID()
	for _, corker := range slices.Backward(o.corks) {
		if corker == id {
			return true
		}
	}
	return false
}

// uncork forgets the calling goroutine's first Cork.
func (o *output) uncork() {
	i := slices.Index(o.corks, goroutine.ID())
	if i < 0 {
		return
	}
	o.corks = slices.Delete(o.corks, i, i+1)
	if len(o.corks) == 0 && cap(o.corks) > keptCorks {
		o.corks = nil
	}
}

// keptCorks is how many corks a Session has memory for while there are none.
const keptCorks = 16
