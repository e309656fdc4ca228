package engine

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unsafe"
)

// decode runs a Decoder over a stream that is cut into chunks of size bytes, and
// tells what it found: payload of one frame joined, so that the cuts don't show.
func decode(d *Decoder, stream []byte, size int) (events []string, err error) {
	var payload []byte
	for len(stream) > 0 {
		chunk := clone(stream[:min(size, len(stream))])
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

var decoderTests = []struct {
	name   string
	stream string
	want   string
	err    error
}{
	{"text", "text Hello", "text Hello", nil},
	{"empty", "text ; bin ", "text ; binary ", nil},
	{"fragments", "text+ Hel; cont+ ; cont lo", "text+ Hel; continuation+ ; continuation lo", nil},
	{"control between fragments", "bin+ a; ping p; pong q; cont b", "binary+ a; ping p; pong q; continuation b", nil},
	{"126 bytes", "bin " + strings.Repeat("x", 126), "binary " + strings.Repeat("x", 126), nil},
	{"65536 bytes", "bin " + strings.Repeat("y", 65536), "binary " + strings.Repeat("y", 65536), nil},
	{"ping of 125 bytes", "ping " + strings.Repeat("z", 125), "ping " + strings.Repeat("z", 125), nil},
	{"close", "close " + closePayload(1000, "bye"), "close " + closePayload(1000, "bye"), nil},
	{"close without code", "close ", "close ", nil},
	{"nothing counts after close", "close ; text lost", "close ", nil},
	{"code point across fragments", "text+ \xe2\x82; ping ; cont \xac", "text+ \xe2\x82; ping ; continuation \xac", nil},

	{"continuation of nothing", "text a; cont b", "text a", errNothingToContinue},
	{"message inside a message", "text+ a; bin b", "text+ a", errMessageUnfinished},
	{"close of one byte", "close x", "", errCloseTooShort},
	{"close code 1005", "close " + closePayload(1000, "")[:1] + "\xed", "", errCloseCode},
	{"close code 999", "close \x03\xe7", "", errCloseCode},
	{"close reason not UTF-8", "close \x03\xe8\xff", "", errCloseReason},
	{"text not UTF-8", "text ab\xff", "", errNotUTF8},
	{"text ends inside a code point", "text \xe2\x82", "", errNotUTF8},
	{"text ends inside a code point, after fragments", "text+ \xe2; cont \x82", "text+ \xe2", errNotUTF8},
	{"surrogate", "text \xed\xa0\x80", "", errNotUTF8},
	{"binary need not be UTF-8", "bin \xff\xfe", "binary \xff\xfe", nil},
}

// sameRule reports whether two errors of the decoder say the same, whatever the peer has said.
func sameRule(a, b error) bool {
	var left, right *ProtocolError
	if errors.As(a, &left) && errors.As(b, &right) {
		return left.Code == right.Code && left.Rule == right.Rule
	}
	return a == b
}

func TestDecoderGivesTheSameEventsHoweverTheStreamIsCut(t *testing.T) {
	for _, role := range []Role{Client, Server} {
		for _, test := range decoderTests {
			t.Run(role.String()+"/"+test.name, func(t *testing.T) {
				stream := frames(role, test.stream)
				for _, size := range []int{1, 2, 3, 5, 7, 16, 1000, len(stream)} {
					events, err := decode(NewDecoder(role, Limits{}), stream, size)
					if got := strings.Join(events, "; "); got != test.want || !sameRule(err, test.err) {
						t.Errorf("in chunks of %d: %.200q, %v; want %.200q, %v", size, got, err, test.want, test.err)
					}
				}
			})
		}
	}
}

func TestDecoderRefusesBadFramesHoweverTheStreamIsCut(t *testing.T) {
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
			if _, err := decode(NewDecoder(Client, Limits{}), stream, 1); err != errReservedBits {
				t.Errorf("reserved bits %03b on %v: %v", rsv, op, err)
			}
		}
	}
}

func TestDecoderDemandsMasksOfClientsAndRefusesThemFromServers(t *testing.T) {
	for _, op := range []Opcode{OpText, OpBinary, OpPing, OpPong, OpClose} {
		if _, err := decode(NewDecoder(Client, Limits{}), frame(Server, op, true, ""), 1); err != errMasked {
			t.Errorf("masked %v from a server: %v", op, err)
		}
		if _, err := decode(NewDecoder(Server, Limits{}), frame(Client, op, true, ""), 1); err != errNotMasked {
			t.Errorf("unmasked %v from a client: %v", op, err)
		}
	}
}

func TestDecoderFailsAtTheFirstByteThatIsNotUTF8(t *testing.T) {
	payload := "good \xce\xba\xe1\xbd\xb9\xcf\x83 bad \xf4\x90\x80\x80 and what follows"
	bad := strings.Index(payload, "\xf4") + 1 // \x90 can't follow \xf4
	stream := frame(Server, OpText, true, payload)
	header := len(stream) - len(payload)
	d := NewDecoder(Server, Limits{})
	for i := range stream {
		_, _, err := d.Next(stream[i : i+1])
		if i < header+bad && err != nil {
			t.Fatalf("byte %d: %v", i-header, err)
		}
		if i == header+bad {
			if err != errNotUTF8 {
				t.Fatalf("the bad byte: %v", err)
			}
			return
		}
	}
}

func TestDecoderErrorsAreFinal(t *testing.T) {
	d := NewDecoder(Client, Limits{})
	for range 3 {
		if _, _, err := d.Next(frames(Client, "cont x")); err != errNothingToContinue {
			t.Fatal(err)
		}
	}
	d = NewDecoder(Client, Limits{})
	for range 3 {
		if _, _, err := d.Next(frames(Client, "close x")); err != errCloseTooShort {
			t.Fatal(err)
		}
	}
}

func TestDecoderKeepsToItsLimits(t *testing.T) {
	tests := []struct {
		name   string
		limits Limits
		stream []byte
		limit  string
		code   CloseCode
	}{
		{"message by default", Limits{}, AppendHeader(nil, Header{Fin: true, Opcode: OpBinary, Length: DefaultMessageSize + 1}), "MessageSize", CloseMessageTooBig},
		{"message declared with 63 bits", Limits{}, AppendHeader(nil, Header{Fin: true, Opcode: OpBinary, Length: 1<<63 - 1}), "MessageSize", CloseMessageTooBig},
		{"message in fragments", Limits{MessageSize: 10}, frames(Client, "bin+ 12345; cont+ 67890; cont x"), "MessageSize", CloseMessageTooBig},
		{"sum that would overflow", Limits{MessageSize: -1, FrameSize: 1 << 62}, append(frames(Client, "bin+ 12345"), AppendHeader(nil, Header{Opcode: OpContinuation, Length: 1<<63 - 1})...), "FrameSize", CloseMessageTooBig},
		{"frame", Limits{FrameSize: 4}, frames(Client, "bin 12345"), "FrameSize", CloseMessageTooBig},
		{"fragments", Limits{Fragments: 3}, frames(Client, "bin+ 1; cont+ 2; cont+ ; cont 4"), "Fragments", ClosePolicyViolation},
		{"fragments by default", Limits{}, append(frames(Client, "bin+ "), bytes.Repeat(frames(Client, "cont+ "), DefaultFragments)...), "Fragments", ClosePolicyViolation},
		{"tiny fragments by default", Limits{}, fragmented(1<<20, 31), "Fragments", ClosePolicyViolation},
		{"empty fragments after much", Limits{}, append(fragmented(4<<20, 1<<20), bytes.Repeat(frames(Client, "cont+ "), 4<<20/32)...), "Fragments", ClosePolicyViolation},
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

// fragmented begins a message, in fragments of each bytes.
func fragmented(size, each int) []byte {
	stream := frames(Client, "bin+ ")
	for ; size > 0; size -= each {
		stream = append(stream, frame(Client, OpContinuation, false, strings.Repeat("x", min(size, each)))...)
	}
	return stream
}

func TestTheDefaultAllowsLargeMessagesInHonestFragments(t *testing.T) {
	for _, each := range []int{33, 64, 1024, 65536} {
		stream := append(fragmented(4<<20, each), frames(Client, "cont ")...)
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
			if _, err := decode(NewDecoder(Client, test.limits), frames(Client, test.stream), 1); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDecoderAllocatesNothing(t *testing.T) {
	for _, role := range []Role{Client, Server} {
		stream := frames(role, "text Hello; ping p; bin+ "+strings.Repeat("x", 4000)+"; cont y")
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
				stream := frame(role, OpBinary, true, strings.Repeat("x", size))
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
