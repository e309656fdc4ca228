package cluster

import (
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/assign"
)

// maxSubject bounds subjects: NATS servers end the connection of a client whose line with the subject and
// the reply subject is longer than 4096 bytes.
const maxSubject = 2048

// An encoder makes messages for NATS. It belongs to one goroutine.
type encoder struct {
	prefix string // of subjects
	msg    nats.Msg
	token  [1]string
	last   uint64 // what token stands for
	opcode [1]string
	id     [1]string
	key    string // the last one
	buf    []byte
}

func newEncoder(prefix string) *encoder {
	e := &encoder{prefix: prefix, token: [1]string{"0"}, opcode: [1]string{"binary"}}
	e.msg.Header = nats.Header{TokenHeader: e.token[:]}
	return e
}

// encode returns the message for NATS, which is valid until the next call. ok says that a server would
// read its subject.
func (e *encoder) encode(m *taken) (msg *nats.Msg, ok bool) {
	if e.key != m.key.name || e.msg.Subject == "" {
		e.key = m.key.name
		e.msg.Subject = e.prefix + assign.Escape(e.key)
	}
	if m.token != e.last {
		e.last, e.token[0] = m.token, strconv.FormatUint(m.token, 10)
	}
	if m.op == websock.OpText {
		delete(e.msg.Header, OpcodeHeader)
	} else {
		e.msg.Header[OpcodeHeader] = e.opcode[:]
	}
	e.msg.Data = m.payload
	return &e.msg, len(e.msg.Subject) <= maxSubject
}

// encodeForStream also sets what JetStream needs. The reply subject is made of the parts.
func (e *encoder) encodeForStream(m *taken, inbox string, number uint64, batch string) (msg *nats.Msg, ok bool) {
	if msg, ok = e.encode(m); !ok {
		return nil, false
	}
	e.buf = append(e.buf[:0], e.msg.Subject[len(e.prefix):]...)
	e.buf = append(e.buf, '.')
	e.buf = append(e.buf, e.token[0]...)
	e.buf = append(e.buf, '.')
	e.buf = strconv.AppendUint(e.buf, m.number, 10)
	e.id[0] = string(e.buf)
	msg.Header[jetstream.MsgIDHeader] = e.id[:]
	e.buf = append(e.buf[:0], inbox...)
	e.buf = strconv.AppendUint(e.buf, number, 10)
	e.buf = append(e.buf, batch...)
	msg.Reply = string(e.buf)
	return msg, true
}
