package loadgen

import (
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/payload"
)

// A listener is the conversation that only receives. Of messages that say when they were sent it records
// how long they took.
type listener struct{ *connection }

func newListener(c *connection) listener { return listener{c} }

func (l listener) start() {}

func (l listener) onMessage(_ websock.Opcode, msg []byte) {
	if sent, ok := payload.SentAt(msg); ok {
		l.oneWay.Record(time.Since(sent))
	}
}

func (l listener) onClose(error) {}

func (l listener) inFlight() int64 { return 0 }

// A pacedSender is the conversation that sends messages when they are due, and expects no answers.
type pacedSender struct {
	listener
	sequence int64 // of the next message
}

func newPacedSender(c *connection) *pacedSender { return &pacedSender{listener: newListener(c)} }

func (s *pacedSender) send(_, late time.Duration, message []byte) bool {
	payload.Stamp(message, s.id(s.sequence))
	if s.TrySend(s.gen.Message.Opcode, message) != nil {
		return false
	}
	s.sequence++
	s.countSent(len(message))
	s.lateness.Record(late)
	return true
}
