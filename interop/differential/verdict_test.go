package differential

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// A verdict is how an implementation decodes the frames that a peer sends.
type verdict struct {
	messages []message
	end      end
	code     websock.CloseCode // of the peer's close frame
	rule     string            // ours only: the rule that was broken
}

type message struct {
	op      websock.Opcode
	payload string
}

// An end is how a stream ended.
type end int

const (
	open    end = iota // more was expected
	closed             // with a close frame
	refused            // with an error
)

func (v verdict) String() string {
	return fmt.Sprintf("%.300q, %s, code %d %s", fmt.Sprint(v.messages), []string{"open", "closed", "refused"}[v.end], v.code, v.rule)
}

// begins reports whether the messages of v are a prefix of those of w.
func (v verdict) begins(w verdict) bool {
	return len(v.messages) <= len(w.messages) && slices.Equal(v.messages, w.messages[:len(v.messages)])
}

func (v verdict) equal(w verdict) bool {
	return slices.Equal(v.messages, w.messages) && v.end == w.end && v.code == w.code
}

// ours returns the verdict of this module.
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

// A reference is another implementation.
type reference struct {
	name   string
	decode func(websock.Role, []byte) verdict

	// lenient are the rules that it doesn't enforce.
	lenient map[string]bool

	// strict reports whether it refuses something that the RFC allows.
	strict func(ours verdict) bool
}

var references = []reference{
	{
		name: "gobwas", decode: gobwas,
		lenient: map[string]bool{
			"payload length not in its shortest form": true, // RFC 6455 section 5.2
			"control frame of more than 125 bytes":    true, // the same, if the long form hides a short length
			"close code that must not be sent":        true, // section 7.4.2; it has no upper bound of the codes
		},
		strict: closedWith(1012, 1013, 1014), // registered since; RFC 6455 section 7.4.2
	},
	{
		name: "gorilla", decode: gorilla,
		lenient: map[string]bool{
			"payload length not in its shortest form": true, // RFC 6455 section 5.2
			"text that is not UTF-8":                  true, // section 8.1; it leaves that to its user
			"close frame of one byte":                 true, // section 5.5.1
		},
		strict: closedWith(1014), // registered since; RFC 6455 section 7.4.2
	},
}

// closedWith reports whether the peer closed with one of these codes.
func closedWith(codes ...websock.CloseCode) func(verdict) bool {
	return func(v verdict) bool { return v.end == closed && slices.Contains(codes, v.code) }
}

// FuzzVerdicts gives the same bytes to all implementations. They must find the same messages and the
// same end, except for the known differences.
func FuzzVerdicts(f *testing.F) {
	for _, server := range []bool{false, true} {
		f.Add([]byte("\x82\x02\xe2\x82\x04\x02hi\x00\x01\xac\x05\x03bin\x07\x04\x00\x00by"), true, server)
		f.Add([]byte("\x02\x03\xed\xa0\x80\x06\x00\x41\x02\xfd\x05Hello"), true, server)
		f.Add([]byte("\x81\x05Hello\x88\x02\x03\xe8"), false, server)
		f.Add([]byte("\x88\x02\x03\xf6"), false, server)
		f.Add([]byte("\x02\x02hi\x88\x76"), false, server)
	}
	f.Fuzz(func(t *testing.T, input []byte, program, server bool) {
		role, stream := websock.Client, input
		if server {
			role = websock.Server
		}
		if program {
			stream = streamOf(role, input)
		}
		for _, other := range references {
			us := ours(role, stream)
			them := other.decode(role, stream)
			if us.end == open && them.end == refused { // we wait for the rest of a header
				us = ours(role, append(bytes.Clone(stream), make([]byte, engine.MaxHeaderSize)...))
			}
			other.compare(t, us, them, stream)
		}
	})
}

func (r reference) compare(t *testing.T, us, them verdict, stream []byte) {
	t.Helper()
	agree := us.equal(them)
	switch {
	case us.end == refused && r.lenient[us.rule]:
		agree = us.begins(them)
	case us.end == refused && them.end == open: // it waits for the rest of an invalid frame
		agree = us.begins(them) && them.begins(us)
	case r.strict(us):
		agree = them.end == refused && them.begins(us)
	}
	if !agree {
		t.Fatalf("%x\nours: %v\n%s: %v", stream, us, r.name, them)
	}
}
