package fuzz

import (
	"bytes"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/bounds"
)

// unlimited is for a Decoder that reads what we have sent.
var unlimited = engine.Limits{MessageSize: -1, Fragments: -1}

// FuzzEncoder encodes the frames that a program asks for and decodes the result in the other role,
// cut anywhere. The Decoder finds the messages and control frames that the Encoder accepted, and
// nothing else. A frame that the Encoder refuses changes nothing.
func FuzzEncoder(f *testing.F) {
	hello := "\x01\x05Hello\x11\x02\xe2\x82\x09\x04ping\x00\x01\xac\x02\xff" + string(make([]byte, 115)) + "\x01\x05Hello"
	refused := "\x00\x01a\x01\x01\xff\x11\x01\xc3\x01\x01a\x00\x01a\x00\x01\xbc\x19\x00\x09\x7e" + string(make([]byte, 126)) + "\x03\x00"
	for _, steps := range []string{hello, refused, "\x12\xf3ab\x10\xf4cd\x0a\x01x\x00\x00\x08\x03\xe8\x02ok", "\x11\x00\x00\x00\x02\x02zz\x02\x02zz"} {
		f.Add([]byte(steps), []byte{1, 2, 3}, false, byte(0), byte(0))
		f.Add([]byte(steps), []byte{1}, true, byte(3), byte(0xff))
		f.Add([]byte(steps), []byte{}, false, byte(1), byte(1))
		f.Add([]byte(steps), []byte{7, 7}, true, byte(4), byte(2|2<<3))
	}
	f.Fuzz(func(t *testing.T, steps, cuts []byte, server bool, how, bits byte) {
		role, z := roleOf(server), websock.Compression{}
		if how != 0 {
			z = compressionOf(how, bits)
		}
		bounds.Check(t, 16<<20+(4<<20)*uint64(len(steps)), func() {
			wire, accepted := encode(t, role, z, steps)
			var cut [][]byte
			pieces(len(wire), cuts, func(from, to int) { cut = append(cut, wire[from:to]) })
			got := decode(t, 1-role, unlimited, mirrored(z), cut)
			want := trafficOf(accepted)
			if received := trafficOf(got.frames); got.err != nil || !received.equal(want) || received.open != want.open {
				t.Fatalf("encoded %v\ndecoded %v, %v", want, received, got.err)
			}
		})
	})
}

// encode returns what an Encoder makes of a program, and the frames that it accepted. A close frame
// ends it.
func encode(t *testing.T, role websock.Role, z websock.Compression, steps program) (wire []byte, accepted []frame) {
	t.Helper()
	e := engine.NewEncoder(role, engine.NewPerMessageDeflate(z))
	for !steps.ended() {
		first := steps.next()
		op, fin := websock.Opcode(first&15), first&16 == 0
		var p []byte
		if op == websock.OpClose {
			fin, p = true, steps.closePayload()
		} else {
			p = steps.payload()
		}
		key := [4]byte{first, byte(len(wire)), byte(len(steps)), 1}
		given, before := bytes.Clone(p), *e
		out, err := e.Append(wire, key, op, fin, p)
		switch {
		case !bytes.Equal(p, given):
			t.Fatalf("%v %v: the payload was changed", op, fin)
		case err != nil && !isRefusal(err):
			t.Fatalf("%v is no documented error", err)
		case err != nil && (*e != before || !bytes.Equal(out, wire)):
			t.Fatalf("%v %v: %v, and %d bytes instead of %d; the Encoder is %+v, and was %+v", op, fin, err, len(out), len(wire), *e, before)
		case err != nil:
			continue
		}
		wire, accepted = out, append(accepted, frame{op, fin, string(p)})
		if op == websock.OpClose {
			return wire, accepted
		}
	}
	return wire, accepted
}

// isRefusal reports whether err is one that Encoder.Append documents.
func isRefusal(err error) bool {
	return err == engine.ErrFrameOrder || err == engine.ErrControlTooLong || err == engine.ErrInvalidUTF8
}
