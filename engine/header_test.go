package engine_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	. "github.com/seed004e8d11/websock/engine"
)

// bits turns "1 001 0001 0 1111101" into bytes.
func bits(t *testing.T, s string) []byte {
	t.Helper()
	s = strings.ReplaceAll(s, " ", "")
	if len(s)%8 != 0 {
		t.Fatalf("%d bits are no whole number of bytes", len(s))
	}
	var b []byte
	for ; s != ""; s = s[8:] {
		n, err := strconv.ParseUint(s[:8], 2, 8)
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, byte(n))
	}
	return b
}

const (
	bits16 = "00000000 01111110"
	bits64 = "00000000 00000000 00000000 00000000 00000000 00000001 00000000 00000000"
	keyBit = "00010001 00100010 00110011 01000100"
)

var headerTests = []struct {
	name string
	bits string
	want Header
}{
	{"empty final binary", "1 000 0010 0 0000000", Header{Fin: true, Opcode: OpBinary}},
	{"first fragment of text", "0 000 0001 0 0000101", Header{Opcode: OpText, Length: 5}},
	{"continuation", "0 000 0000 0 1111101", Header{Opcode: OpContinuation, Length: 125}},
	{"all reserved bits", "1 111 0010 0 0000001", Header{Fin: true, Rsv: 7, Opcode: OpBinary, Length: 1}},
	{"RSV1", "1 100 0001 0 0000001", Header{Fin: true, Rsv: 4, Opcode: OpText, Length: 1}},
	{"16 bits of length", "1 000 0010 0 1111110" + bits16, Header{Fin: true, Opcode: OpBinary, Length: 126}},
	{"64 bits of length", "1 000 0010 0 1111111" + bits64, Header{Fin: true, Opcode: OpBinary, Length: 65536}},
	{"masked", "1 000 0010 1 0000011" + keyBit,
		Header{Fin: true, Opcode: OpBinary, Masked: true, Key: [4]byte{0x11, 0x22, 0x33, 0x44}, Length: 3}},
	{"masked, 16 bits", "1 000 0010 1 1111110" + bits16 + keyBit,
		Header{Fin: true, Opcode: OpBinary, Masked: true, Key: [4]byte{0x11, 0x22, 0x33, 0x44}, Length: 126}},
	{"masked, 64 bits", "1 000 0010 1 1111111" + bits64 + keyBit,
		Header{Fin: true, Opcode: OpBinary, Masked: true, Key: [4]byte{0x11, 0x22, 0x33, 0x44}, Length: 65536}},
	{"close", "1 000 1000 0 0000010", Header{Fin: true, Opcode: OpClose, Length: 2}},
	{"ping of 125 bytes", "1 000 1001 0 1111101", Header{Fin: true, Opcode: OpPing, Length: 125}},
	{"pong", "1 000 1010 0 0000000", Header{Fin: true, Opcode: OpPong}},
}

func TestParseHeaderReadsWhatAppendHeaderWrites(t *testing.T) {
	for _, test := range headerTests {
		t.Run(test.name, func(t *testing.T) {
			wire := bits(t, test.bits)
			if got := AppendHeader(nil, test.want); !bytes.Equal(got, wire) {
				t.Errorf("AppendHeader: %x, want %x", got, wire)
			}
			want := test.want
			want.Remaining = want.Length
			h, n, err := ParseHeader(append(wire, "payload"...))
			if err != nil || n != len(wire) || h != want {
				t.Errorf("ParseHeader: %+v, %d, %v; want %+v, %d", h, n, err, want, len(wire))
			}
			if got := HeaderSize(want.Length, want.Masked); got != len(wire) {
				t.Errorf("headerSize: %d, want %d", got, len(wire))
			}
		})
	}
}

func TestParseHeaderReturnsZeroUntilTheHeaderIsComplete(t *testing.T) {
	for _, test := range headerTests {
		t.Run(test.name, func(t *testing.T) {
			wire := bits(t, test.bits)
			for cut := range wire {
				h, n, err := ParseHeader(wire[:cut])
				if err != nil || n != 0 || h.Opcode != OpNone {
					t.Errorf("%d of %d bytes: %+v, %d, %v", cut, len(wire), h, n, err)
				}
			}
		})
	}
}

var badHeaderTests = []struct {
	name string
	bits string
	want error
}{
	{"opcode 3", "1 000 0011 0 0000000", ErrReservedOpcode},
	{"opcode 7", "0 000 0111 0 0000000", ErrReservedOpcode},
	{"opcode 11", "1 000 1011 0 0000000", ErrReservedOpcode},
	{"opcode 15", "1 000 1111 0 0000000", ErrReservedOpcode},
	{"reserved opcode with 16 bits of length", "1 000 0011 0 1111110" + bits16, ErrReservedOpcode},
	{"fragmented close", "0 000 1000 0 0000000", ErrControlFragmented},
	{"fragmented ping", "0 000 1001 0 0000000", ErrControlFragmented},
	{"fragmented pong", "0 000 1010 0 0000000", ErrControlFragmented},
	{"ping of 126 bytes", "1 000 1001 0 1111110" + bits16, ErrPeerControlTooLong},
	{"close of 64 bits", "1 000 1000 0 1111111" + bits64, ErrPeerControlTooLong},
	{"125 in 16 bits", "1 000 0010 0 1111110 00000000 01111101", ErrLengthNotMinimal},
	{"0 in 16 bits", "1 000 0010 0 1111110 00000000 00000000", ErrLengthNotMinimal},
	{"65535 in 64 bits", "1 000 0010 0 1111111" + strings.Repeat("0", 48) + strings.Repeat("1", 16), ErrLengthNotMinimal},
	{"64th bit set", "1 000 0010 0 1111111 1" + strings.Repeat("0", 63), ErrLengthOverflow},
	{"all 64 bits set", "1 000 0010 0 1111111" + strings.Repeat("1", 64), ErrLengthOverflow},
}

func TestParseHeaderRefusesInvalidHeaders(t *testing.T) {
	for _, test := range badHeaderTests {
		t.Run(test.name, func(t *testing.T) {
			_, n, err := ParseHeader(bits(t, test.bits))
			if err != test.want || n != 0 {
				t.Errorf("%d, %v; want 0, %v", n, err, test.want)
			}
			var broken *ProtocolError
			if !errors.As(err, &broken) || broken.Code != CloseProtocolError {
				t.Errorf("%v is no protocol error with code 1002", err)
			}
		})
	}
}

func TestParseHeaderTakes63BitsOfLength(t *testing.T) {
	wire := binary.BigEndian.AppendUint64([]byte{0x82, 0x7f}, 1<<63-1)
	h, n, err := ParseHeader(wire)
	if err != nil || n != 10 || h.Length != 1<<63-1 {
		t.Errorf("%+v, %d, %v", h, n, err)
	}
}

func TestHeaderRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	opcodes := []Opcode{OpContinuation, OpText, OpBinary}
	for range 10000 {
		h := Header{
			Fin:    r.IntN(2) == 0,
			Rsv:    uint8(r.IntN(8)),
			Opcode: opcodes[r.IntN(3)],
			Masked: r.IntN(2) == 0,
			Length: r.Int64() >> r.IntN(63),
		}
		if h.Masked {
			binary.BigEndian.PutUint32(h.Key[:], r.Uint32())
		}
		wire := AppendHeader(nil, h)
		h.Remaining = h.Length
		if got, n, err := ParseHeader(wire); err != nil || n != len(wire) || got != h {
			t.Fatalf("%x: %+v, %d, %v; want %+v", wire, got, n, err, h)
		}
	}
}

func TestHeadersAllocateNothing(t *testing.T) {
	b := make([]byte, 0, MaxHeaderSize)
	h := Header{Fin: true, Opcode: OpBinary, Masked: true, Length: 70000}
	allocs := testing.AllocsPerRun(100, func() {
		wire := AppendHeader(b, h)
		if _, n, err := ParseHeader(wire); n != len(wire) || err != nil {
			t.Fatal(n, err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}

func BenchmarkParseHeader(b *testing.B) {
	for _, size := range []int64{125, 126, 65536} {
		wire := AppendHeader(nil, Header{Fin: true, Opcode: OpBinary, Length: size})
		b.Run(strconv.Itoa(len(wire)), func(b *testing.B) {
			for b.Loop() {
				if _, n, _ := ParseHeader(wire); n == 0 {
					b.Fatal("not parsed")
				}
			}
		})
	}
}

func BenchmarkAppendHeader(b *testing.B) {
	dst := make([]byte, 0, MaxHeaderSize)
	for b.Loop() {
		dst = AppendHeader(dst[:0], Header{Fin: true, Opcode: OpBinary, Masked: true, Length: 125})
	}
}
