package h3

import (
	"bytes"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/http3"
)

// frames returns DATA frames with payloads, and one of an unknown type before each.
func frames(payloads ...string) []byte {
	var b []byte
	for _, p := range payloads {
		b = append(appendFrameHeader(b, 0x21, 3), "???"...)
		b = append(appendFrameHeader(b, frameData, len(p)), p...)
	}
	return b
}

func TestPayloadsAreTakenOutOfFrames(t *testing.T) {
	payloads := []string{"", "a", strings.Repeat("b", 63), strings.Repeat("c", 64), strings.Repeat("d", 20_000)}
	wire, want := frames(payloads...), strings.Join(payloads, "")
	for size := 1; size <= len(wire); size = size*3/2 + 1 {
		var d deframer
		var got bytes.Buffer
		for rest := bytes.Clone(wire); len(rest) > 0; {
			part := rest[:min(size, len(rest))]
			rest = rest[len(part):]
			n, bad := d.deframe(part)
			if bad != nil {
				t.Fatal(bad)
			}
			got.Write(part[:n])
			if len(rest) > 0 && got.Len() == len(want) {
				t.Errorf("in pieces of %d bytes: all has come before its end", size)
			}
		}
		if got.String() != want || d.isInside() {
			t.Errorf("in pieces of %d bytes: %d bytes, inside a frame: %v", size, got.Len(), d.isInside())
		}
	}
}

func TestFramesThatHaveNoPlaceBetweenData(t *testing.T) {
	for frameType := range uint64(0x10) {
		var d deframer
		wire := append(frames("before"), appendFrameHeader(nil, frameType, 0)...)
		n, bad := d.deframe(wire)
		wanted := frameType != frameData && frameType != 0xa && frameType != 0xb && frameType != 0xc && frameType != 0xe && frameType != 0xf
		if n != len("before") || (bad != nil) != wanted || wanted && bad.code != http3.ErrCodeFrameUnexpected {
			t.Errorf("type %#x: %d bytes, %v", frameType, n, bad)
		}
	}
}

func TestAnIncompleteFrameIsNoticed(t *testing.T) {
	wire := frames("payload")
	for n := range wire {
		var d deframer
		d.deframe(bytes.Clone(wire[:n]))
		if between := n == 0 || n == 5; d.isInside() == between {
			t.Errorf("after %d bytes: inside a frame: %v", n, d.isInside())
		}
	}
}
