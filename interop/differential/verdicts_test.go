package differential

import (
	"bytes"
	"slices"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// A judge is another implementation.
type judge struct {
	name  string
	judge func(websock.Role, []byte) verdict

	// lenient are the rules that it doesn't enforce.
	lenient map[string]bool

	// strict reports what it refuses though the RFC allows it.
	strict func(ours verdict) bool
}

var judges = []judge{
	{
		name: "gobwas", judge: gobwas,
		lenient: map[string]bool{
			"payload length not in its shortest form": true, // RFC 6455 section 5.2
			"control frame of more than 125 bytes":    true, // the same, if the long form hides a short length
			"close code that must not be sent":        true, // section 7.4.2; it knows no end of the codes
		},
		strict: closedWith(1012, 1013, 1014), // registered since; RFC 6455 section 7.4.2
	},
	{
		name: "gorilla", judge: gorilla,
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

// FuzzVerdicts gives the same bytes to all implementations. All must find the same
// messages and the same end, but for the differences that are named.
func FuzzVerdicts(f *testing.F) {
	for _, server := range []bool{false, true} {
		f.Add([]byte("\x82\x02\xe2\x82\x04\x02hi\x00\x01\xac\x05\x03bin\x07\x04\x00\x00by"), true, server)
		f.Add([]byte("\x02\x03\xed\xa0\x80\x06\x00\x41\x02\xfd\x05Hello"), true, server)
		f.Add([]byte("\x81\x05Hello\x88\x02\x03\xe8"), false, server)
		f.Add([]byte("\x88\x02\x03\xf6"), false, server)
	}
	f.Fuzz(func(t *testing.T, input []byte, program, server bool) {
		role, stream := websock.Client, input
		if server {
			role = websock.Server
		}
		if program {
			stream = streamOf(role, input)
		}
		for _, other := range judges {
			us := ours(role, stream)
			them := other.judge(role, stream)
			if us.end == open && them.end == refused { // we wait for the rest of a header
				us = ours(role, append(bytes.Clone(stream), make([]byte, engine.MaxHeaderSize)...))
			}
			other.compare(t, us, them, stream)
		}
	})
}

func (j judge) compare(t *testing.T, us, them verdict, stream []byte) {
	t.Helper()
	agree := us.equal(them)
	switch {
	case us.end == refused && j.lenient[us.rule]:
		agree = us.begins(them)
	case us.end == refused && them.end == open: // it waits for the rest of what is wrong from the start
		agree = us.begins(them) && them.begins(us)
	case j.strict(us):
		agree = them.end == refused && them.begins(us)
	}
	if !agree {
		t.Fatalf("%x\nours: %v\n%s: %v", stream, us, j.name, them)
	}
}
