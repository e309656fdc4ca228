package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"

	. "github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/frametest"
)

// decode runs a Decoder over a stream that is split into chunks of size bytes, and returns what it
// found. It joins the payload of one frame, so the result doesn't depend on the size.
func decode(d *Decoder, stream []byte, size int) (events []string, err error) {
	var payload []byte
	for len(stream) > 0 {
		chunk := bytes.Clone(stream[:min(size, len(stream))])
		stream = stream[len(chunk):]
		for {
			e, n, err := d.Next(chunk)
			if err != nil {
				return events, err
			}
			chunk = chunk[n:]
			if e.Kind == EventNone {
				if len(chunk) > 0 {
					return events, fmt.Errorf("%d bytes not used", len(chunk))
				}
				break
			}
			payload = append(payload, e.Payload...)
			if e.Header.Remaining > 0 {
				continue
			}
			more := ""
			if !e.Header.Fin {
				more = "+"
			}
			events = append(events, fmt.Sprintf("%v%s %s", e.Header.Opcode, more, payload))
			payload = payload[:0]
		}
	}
	return events, nil
}

func TestDecoderReturnsTheSameEventsHoweverTheStreamIsSplit(t *testing.T) {
	for _, role := range []Role{Client, Server} {
		for _, test := range frametest.Streams {
			t.Run(role.String()+"/"+test.Name, func(t *testing.T) {
				stream := frametest.Frames(role, test.Frames)
				for _, size := range []int{1, 2, 3, 5, 7, 16, 1000, len(stream)} {
					events, err := decode(NewDecoder(role, Limits{}), stream, size)
					if got := strings.Join(events, "; "); got != test.Want || !frametest.Broke(err, test.Rule) {
						t.Errorf("in chunks of %d: %.200q, %v; want %.200q, %v", size, got, err, test.Want, test.Rule)
					}
				}
			})
		}
	}
}

func TestDecoderRefusesInvalidFramesHoweverTheStreamIsSplit(t *testing.T) {
	for _, test := range badHeaderTests {
		stream := bits(t, test.bits)
		for size := 1; size <= len(stream); size++ {
			if _, err := decode(NewDecoder(Client, Limits{}), stream, size); err != test.want {
				t.Errorf("%s in chunks of %d: %v, want %v", test.name, size, err, test.want)
			}
		}
	}
	for _, rsv := range []uint8{1, 2, 4, 7} {
		for _, op := range []Opcode{OpText, OpBinary, OpPing, OpClose} {
			stream := AppendHeader(nil, Header{Fin: true, Rsv: rsv, Opcode: op})
			if _, err := decode(NewDecoder(Client, Limits{}), stream, 1); err != ErrReservedBits {
				t.Errorf("reserved bits %03b on %v: %v", rsv, op, err)
			}
		}
	}
}

func TestDecoderRequiresMasksFromClientsAndRefusesThemFromServers(t *testing.T) {
	for _, op := range []Opcode{OpText, OpBinary, OpPing, OpPong, OpClose} {
		if _, err := decode(NewDecoder(Client, Limits{}), frametest.Frame(Server, op, true, ""), 1); err != ErrMasked {
			t.Errorf("masked %v from a server: %v", op, err)
		}
		if _, err := decode(NewDecoder(Server, Limits{}), frametest.Frame(Client, op, true, ""), 1); err != ErrNotMasked {
			t.Errorf("unmasked %v from a client: %v", op, err)
		}
	}
}

func TestDecoderFailsAtTheFirstByteThatIsNotUTF8(t *testing.T) {
	payload := "good \xce\xba\xe1\xbd\xb9\xcf\x83 bad \xf4\x90\x80\x80 and what follows"
	bad := strings.Index(payload, "\xf4") + 1 // \x90 can't follow \xf4
	stream := frametest.Frame(Server, OpText, true, payload)
	header := len(stream) - len(payload)
	d := NewDecoder(Server, Limits{})
	for i := range stream {
		_, _, err := d.Next(stream[i : i+1])
		if i < header+bad && err != nil {
			t.Fatalf("byte %d: %v", i-header, err)
		}
		if i == header+bad {
			if err != ErrNotUTF8 {
				t.Fatalf("the bad byte: %v", err)
			}
			return
		}
	}
}

func TestDecoderErrorsAreFinal(t *testing.T) {
	d := NewDecoder(Client, Limits{})
	for range 3 {
		if _, _, err := d.Next(frametest.Frames(Client, "cont x")); err != ErrNothingToContinue {
			t.Fatal(err)
		}
	}
	d = NewDecoder(Client, Limits{})
	for range 3 {
		if _, _, err := d.Next(frametest.Frames(Client, "close x")); err != ErrCloseTooShort {
			t.Fatal(err)
		}
	}
}

func TestDecoderEnforcesItsLimits(t *testing.T) {
	tests := []struct {
		name   string
		limits Limits
		stream []byte
		limit  string
		code   CloseCode
	}{
		{"message by default", Limits{}, AppendHeader(nil, Header{Fin: true, Opcode: OpBinary, Length: DefaultMessageSize + 1}), "MessageSize", CloseMessageTooBig},
		{"message declared with 63 bits", Limits{}, AppendHeader(nil, Header{Fin: true, Opcode: OpBinary, Length: 1<<63 - 1}), "MessageSize", CloseMessageTooBig},
		{"message in fragments", Limits{MessageSize: 10}, frametest.Frames(Client, "bin+ 12345; cont+ 67890; cont x"), "MessageSize", CloseMessageTooBig},
		{"sum that would overflow", Limits{MessageSize: -1, FrameSize: 1 << 62}, append(frametest.Frames(Client, "bin+ 12345"), AppendHeader(nil, Header{Opcode: OpContinuation, Length: 1<<63 - 1})...), "FrameSize", CloseMessageTooBig},
		{"frame", Limits{FrameSize: 4}, frametest.Frames(Client, "bin 12345"), "FrameSize", CloseMessageTooBig},
		{"fragments", Limits{Fragments: 3}, frametest.Frames(Client, "bin+ 1; cont+ 2; cont+ ; cont 4"), "Fragments", ClosePolicyViolation},
		{"fragments by default", Limits{}, append(frametest.Frames(Client, "bin+ "), bytes.Repeat(frametest.Frames(Client, "cont+ "), DefaultFragments)...), "Fragments", ClosePolicyViolation},
		{"tiny fragments by default", Limits{}, fragmented(1<<20, 31), "Fragments", ClosePolicyViolation},
		{"empty fragments after much", Limits{}, append(fragmented(4<<20, 1<<20), bytes.Repeat(frametest.Frames(Client, "cont+ "), 4<<20/32)...), "Fragments", ClosePolicyViolation},
		{"a count, whatever the payload", Limits{Fragments: DefaultFragments}, fragmented(4<<20, 1000), "Fragments", ClosePolicyViolation},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := decode(NewDecoder(Client, test.limits), test.stream, 1000)
			var limit *LimitError
			if !errors.As(err, &limit) || limit.Limit != test.limit || limit.Code != test.code {
				t.Errorf("%v, want limit %s with code %v", err, test.limit, test.code)
			}
		})
	}
}

// fragmented returns the beginning of a message of size bytes in fragments of each bytes.
func fragmented(size, each int) []byte {
	stream := frametest.Frames(Client, "bin+ ")
	for ; size > 0; size -= each {
		stream = append(stream, frametest.Frame(Client, OpContinuation, false, strings.Repeat("x", min(size, each)))...)
	}
	return stream
}

func TestTheDefaultLimitsAllowLargeMessagesInReasonableFragments(t *testing.T) {
	for _, each := range []int{33, 64, 1024, 65536} {
		stream := append(fragmented(4<<20, each), frametest.Frames(Client, "cont ")...)
		if _, err := decode(NewDecoder(Client, Limits{}), stream, 4096); err != nil {
			t.Errorf("4 MiB in fragments of %d bytes: %v", each, err)
		}
	}
}

func TestDecoderAllowsWhatIsWithinItsLimits(t *testing.T) {
	tests := []struct {
		name   string
		limits Limits
		stream string
	}{
		{"message of just the size", Limits{MessageSize: 10}, "bin+ 12345; cont 67890; bin+ 12345; cont 67890"},
		{"just the fragments", Limits{Fragments: 3}, "bin+ 1; cont+ 2; cont 3; bin+ 1; cont+ 2; ping ; cont 3"},
		{"none", Limits{MessageSize: -1, FrameSize: -1, Fragments: -1}, "bin+ 1; cont 2"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := decode(NewDecoder(Client, test.limits), frametest.Frames(Client, test.stream), 1); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDecoderAllocatesNothing(t *testing.T) {
	for _, role := range []Role{Client, Server} {
		stream := frametest.Frames(role, "text Hello; ping p; bin+ "+strings.Repeat("x", 4000)+"; cont y")
		d := NewDecoder(role, Limits{})
		buf := make([]byte, len(stream))
		allocs := testing.AllocsPerRun(100, func() {
			copy(buf, stream)
			for rest := buf; len(rest) > 0; {
				_, n, err := d.Next(rest)
				if err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
		})
		if allocs != 0 {
			t.Errorf("%v: %v allocations, want 0", role, allocs)
		}
	}
}

func TestDecoderIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Decoder{}); size > 104 {
		t.Errorf("a Decoder takes %d bytes, want at most 104", size)
	}
}

func BenchmarkDecoderNext(b *testing.B) {
	for _, size := range []int{16, 125, 512, 4096, 65536} {
		for _, role := range []Role{Client, Server} {
			b.Run(fmt.Sprintf("%v/%d", role, size), func(b *testing.B) {
				stream := frametest.Frame(role, OpBinary, true, strings.Repeat("x", size))
				d := NewDecoder(role, Limits{})
				b.SetBytes(int64(size))
				for b.Loop() {
					if e, _, err := d.Next(stream); e.Kind != EventData || err != nil {
						b.Fatal(e, err)
					}
				}
			})
		}
	}
}

// decodeSteps is decode for a caller with a buffer of room bytes that takes the steps of a Decoder
// itself.
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

func TestUnfragmentedAcceptsOnlyWholeValidMessages(t *testing.T) {
	const next = "next"
	long := strings.Repeat("long ", 100)
	for _, test := range []struct {
		op       Opcode
		payload  string
		accepted bool
	}{
		{OpText, "grüß dich", true},
		{OpText, "", true},
		{OpText, long, true},
		{OpText, "\xff", false},
		{OpText, "\xc3", false},
		{OpBinary, "\xff", true},
		{OpBinary, "", true},
		{OpBinary, long, true},
		{OpPing, "ping", false},
		{OpContinuation, "more", false},
	} {
		for _, role := range []Role{Client, Server} {
			t.Run(fmt.Sprintf("%v %v %.10q", role, test.op, test.payload), func(t *testing.T) {
				frame := frametest.Frame(role, test.op, true, test.payload)
				src := append(slices.Clone(frame), next...)
				d := NewDecoder(role, Limits{})
				op, header, n := d.Unfragmented(src)
				if whole := op.StartsMessage() && header > 0; whole != test.op.StartsMessage() || whole && (op != test.op || header+n != len(frame)) {
					t.Fatalf("%v, %d, %d", op, header, n)
				} else if !whole {
					return
				}
				copied := make([]byte, n)
				var h Header
				want, wantSize := Header{}, 0
				if test.accepted {
					want, _, _ = ParseHeader(frame)
					want.Remaining, wantSize = 0, len(frame)
				}
				if size := d.ReceiveUnfragmented(&h, copied, src); size != wantSize || h != want || test.accepted && string(copied) != test.payload {
					t.Errorf("received: %d bytes, %+v, want %d, %+v; %q", size, h, wantSize, want, copied)
				}
				if !bytes.Equal(src, append(slices.Clone(frame), next...)) {
					t.Errorf("receiving has changed the frame to % x", src)
				}
				if size := d.ReceiveUnfragmented(&h, copied[:max(n-1, 0)], src); n > 0 && size != 0 {
					t.Errorf("received into a buffer that is too small: %d bytes", size)
				}
				payload := src[header : header+n]
				if d.AcceptUnfragmented(op, src[:header+n], header) != test.accepted || test.accepted && string(payload) != test.payload {
					t.Errorf("in place: %q", payload)
				}
				if !test.accepted && !bytes.Equal(src, append(slices.Clone(frame), next...)) {
					t.Errorf("the frame was changed to % x, and not accepted", src)
				}
				if test.accepted && d.Message() != test.op {
					t.Errorf("the message is %v", d.Message())
				}
				for n := range frame {
					if _, header, _ := d.Unfragmented(frame[:n:n]); header != 0 {
						t.Errorf("a frame of which %d bytes have arrived was accepted", n)
					}
					if size := d.ReceiveUnfragmented(&h, copied, frame[:n:n]); size != 0 {
						t.Errorf("a frame of which %d bytes have arrived was received", n)
					}
				}
			})
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
