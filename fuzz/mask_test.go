package fuzz

import (
	"bytes"
	"testing"

	"github.com/seed004e8d11/websock/mask"
)

// FuzzMask masks payloads in pieces and compares the result with the loop of RFC 6455 section 5.3.
func FuzzMask(f *testing.F) {
	f.Add([]byte("Hello"), uint32(0x3d21fa37), uint16(0), uint8(0), []byte{3})
	f.Add(bytes.Repeat([]byte("0123456789abcdef"), 80), uint32(0x01020304), uint16(3), uint8(1), []byte{1, 2, 64, 128, 255, 7})
	f.Add(bytes.Repeat([]byte{0xFF}, 2500), uint32(0xdeadbeef), uint16(2), uint8(63), []byte{})
	f.Add([]byte{}, uint32(1), uint16(65535), uint8(5), []byte{0, 0})
	f.Fuzz(func(t *testing.T, payload []byte, keyWord uint32, pos uint16, align uint8, cuts []byte) {
		key := [4]byte{byte(keyWord), byte(keyWord >> 8), byte(keyWord >> 16), byte(keyWord >> 24)}
		want := make([]byte, len(payload))
		for i, c := range payload {
			want[i] = c ^ key[(int(pos)+i)%4]
		}

		const guard = 64
		from := guard + int(align%64)
		room := bytes.Repeat([]byte{0xA5}, from+len(payload)+guard)
		got := room[from : from+len(payload)]
		check := func(name string) {
			t.Helper()
			if !bytes.Equal(got, want) {
				t.Fatalf("%s: %d bytes at %d, cut at %d: wrong result", name, len(payload), pos, cuts)
			}
			for i, c := range room {
				if (i < from || i >= from+len(payload)) && c != 0xA5 {
					t.Fatalf("%s: wrote out of bounds, at %d", name, i-from)
				}
			}
		}

		next := int(pos)
		pieces(len(payload), cuts, func(a, b int) {
			next = mask.Copy(got[a:], payload[a:b], key, next)
		})
		check("Copy")
		if next != (int(pos)+len(payload))%4 {
			t.Fatalf("Copy: position %d follows %d bytes at %d", next, len(payload), pos)
		}

		copy(got, payload)
		next = int(pos)
		pieces(len(payload), cuts, func(a, b int) {
			next = mask.XOR(got[a:b], key, next)
		})
		check("XOR")
		if next != (int(pos)+len(payload))%4 {
			t.Fatalf("XOR: position %d follows %d bytes at %d", next, len(payload), pos)
		}
	})
}
