package engine

import (
	"sync"

	"github.com/seed004e8d11/websock/internal/buffer"
)

// A seldom is what few connections need: it is there once one does. It is under the lock of
// sending.
type seldom struct {
	turn   *sync.Cond     // waits for writing to end; nil until somebody did
	writer *messageWriter // of NextWriter; nil: none is open
	broken error          // why the message under way will never end; nil: it may

	behind *buffer.Buffer // the batch whose rest the transport writes
	ping   *buffer.Buffer // payload of the latest ping not answered yet
	second uint32         // the second in which pongs are counted
	pongs  uint32         // sent in that second

	limits timeLimits

	value any // the user's
}

var noSeldom seldom

// peek returns what is there, to be read only. The lock is held.
func (s *sendState) peek() *seldom {
	if s.seldom == nil {
		return &noSeldom
	}
	return s.seldom
}

// need returns what is there, to be changed. The lock is held.
func (s *sendState) need() *seldom {
	if s.seldom == nil {
		s.seldom = &seldom{}
	}
	return s.seldom
}
