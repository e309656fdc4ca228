package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	. "github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/frametest"
)

// decodeSteps is decode for a caller that has memory of its own, room bytes of it, and takes the
// steps of a Decoder by itself.
func decodeSteps(d *Decoder, stream []byte, room int) (events []string, err error) {
	buf := make([]byte, room)
	var payload []byte
	for len(stream) > 0 || d.InFrame() && (d.Frame().Remaining == 0 || d.CanInflate()) {
		if !d.InFrame() {
			n, err := d.NextHeader(stream)
			if err != nil {
				return events, err
			}
			stream = stream[n:]
			continue
		}
		var part []byte
		n := 0
		switch {
		case d.Frame().Opcode.IsControl():
			var kind EventKind
			kind, part, n, err = d.Control(stream)
			if err == nil && kind == EventClose {
				return append(events, fmt.Sprintf("%v %s", kind, part)), nil
			}
		case d.Compressed():
			part, n, err = d.Inflate(buf, stream)
		default:
			part, err = d.UnmaskTo(buf, stream)
			n = len(part)
		}
		if err != nil {
			return events, err
		}
		stream, payload = stream[n:], append(payload, part...)
		if d.InFrame() {
			continue
		}
		more := ""
		if !d.Frame().Fin {
			more = "+"
		}
		if d.Frame().Opcode.StartsMessage() && d.Message() != d.Frame().Opcode {
			return events, fmt.Errorf("message of opcode %v", d.Message())
		}
		events = append(events, fmt.Sprintf("%v%s %s", d.Frame().Opcode, more, payload))
		payload = payload[:0]
	}
	return events, nil
}

func TestTheStepsOfADecoderReturnTheSameAsNext(t *testing.T) {
	for _, role := range []Role{Client, Server} {
		for _, test := range frametest.Streams {
			for _, room := range []int{1, 3, 1000, 1 << 17} {
				stream := frametest.Frames(role, test.Frames)
				events, err := decodeSteps(NewDecoder(role, Limits{}), stream, room)
				if got := strings.Join(events, "; "); got != test.Want || !frametest.Broke(err, test.Rule) {
					t.Errorf("%v, %s, room for %d: %.200q, %v; want %.200q, %v", role, test.Name, room, got, err, test.Want, test.Rule)
				}
			}
		}
	}
}

func TestAFailedDecoderKeepsItsError(t *testing.T) {
	d := NewDecoder(Client, Limits{})
	ended := errors.New("the stream ended")
	if err := d.Fail(ended); err != ended || d.Err() != ended {
		t.Errorf("%v, %v", err, d.Err())
	}
	if _, err := d.NextHeader(frametest.Frame(Client, OpText, true, "a")); err != ended {
		t.Errorf("afterwards: %v", err)
	}
}

func TestAcceptUnfragmentedToCopiesTheMessage(t *testing.T) {
	for _, test := range []struct {
		op      Opcode
		payload string
		want    bool
	}{
		{OpText, "grüß dich", true},
		{OpText, "", true},
		{OpText, "\xff", false},
		{OpText, "\xc3", false},
		{OpBinary, "\xff", true},
	} {
		d := NewDecoder(Client, Limits{})
		src := append(frametest.Frame(Client, test.op, true, test.payload), "next"...)
		op, header, n := d.Unfragmented(src)
		if op != test.op || header != 2 || n != len(test.payload) {
			t.Fatalf("%v %q: %v, %d, %d", test.op, test.payload, op, header, n)
		}
		dst := make([]byte, 20)
		if ok := d.AcceptUnfragmentedTo(dst, op, src[header:header+n]); ok != test.want || ok && string(dst[:n]) != test.payload {
			t.Errorf("%v %q: %v, %q", test.op, test.payload, ok, dst[:n])
		}
	}
}

func TestMessageBegunReportsWhetherPayloadWasHandled(t *testing.T) {
	d := NewDecoder(Client, Limits{})
	for _, step := range []struct {
		bytes string
		begun bool
	}{
		{"", false},
		{"\x02\x02", false}, // a header
		{"a", true},
		{"b", true},        // the end of the fragment
		{"\x89\x00", true}, // a ping
		{"\x80\x01", true}, // the header of the last fragment
		{"c", false},       // the end of the message
	} {
		if _, _, err := d.Next([]byte(step.bytes)); err != nil || d.MessageBegun() != step.begun {
			t.Errorf("after %q: %v, %v, want %v", step.bytes, d.MessageBegun(), err, step.begun)
		}
	}
}
