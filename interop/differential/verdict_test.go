package differential

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// A verdict is what an implementation makes of the frames that a peer sends.
type verdict struct {
	messages []message
	end      end
	code     websock.CloseCode // of the peer's close frame
	rule     string            // ours only: what was refused
}

type message struct {
	op      websock.Opcode
	payload string
}

// An end is how a stream ended.
type end int

const (
	open    end = iota // more was to come
	closed             // with a close frame
	refused            // at something that is not allowed
)

func (v verdict) String() string {
	return fmt.Sprintf("%.300q, %s, code %d %s", fmt.Sprint(v.messages), []string{"open", "closed", "refused"}[v.end], v.code, v.rule)
}

// begins reports whether the messages of v are the first of those of w.
func (v verdict) begins(w verdict) bool {
	return len(v.messages) <= len(w.messages) && slices.Equal(v.messages, w.messages[:len(v.messages)])
}

func (v verdict) equal(w verdict) bool {
	return slices.Equal(v.messages, w.messages) && v.end == w.end && v.code == w.code
}

// ours is the verdict of this module.
func ours(role websock.Role, stream []byte) (v verdict) {
	d := engine.NewDecoder(role, engine.Limits{MessageSize: -1, Fragments: -1})
	var m message
	rest := bytes.Clone(stream)
	for {
		event, n, err := d.Next(rest)
		rest = rest[n:]
		switch {
		case err != nil:
			v.end, v.rule = refused, err.(*websock.ProtocolError).Rule
			return v
		case event.Kind == engine.EventClose:
			v.end = closed
			v.code, _, _ = engine.ParseClose(event.Payload)
			return v
		case event.Kind == engine.EventNone:
			return v
		case event.Kind != engine.EventData:
			continue
		}
		if event.Header.Opcode != websock.OpContinuation {
			m.op = event.Header.Opcode
		}
		m.payload += string(event.Payload)
		if event.Header.Fin && event.Header.Remaining == 0 {
			v.messages = append(v.messages, m)
			m = message{}
		}
	}
}
