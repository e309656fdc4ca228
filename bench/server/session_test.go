//go:build linux

package server

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

func TestSessionHandlesSplitInput(t *testing.T) {
	in := []byte("GET / HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	var want []byte
	for _, f := range []ws.Frame{
		ws.NewBinaryFrame([]byte("short")),
		ws.NewTextFrame([]byte(strings.Repeat("longer ", 100))),
		ws.NewBinaryFrame(make([]byte, 1<<16)),
		ws.NewPingFrame([]byte("ping")),
	} {
		in = append(in, ws.MustCompileFrame(ws.MaskFrame(f))...)
		if f.Header.OpCode == ws.OpPing {
			f.Header.OpCode = ws.OpPong
		}
		want = append(want, ws.MustCompileFrame(f)...)
	}
	for _, size := range []int{1, 2, 3, 7, 100, len(in)} {
		var s session
		var out []byte
		for rest := in; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			var err error
			if out, err = s.feed(rest[:min(size, len(rest))], out); err != nil {
				t.Fatal(err)
			}
		}
		head, frames, _ := bytes.Cut(out, []byte("\r\n\r\n"))
		if !bytes.Contains(head, []byte("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) {
			t.Errorf("in pieces of %d bytes: handshake %q", size, head)
		}
		if !bytes.Equal(frames, want) {
			t.Errorf("in pieces of %d bytes: %d bytes of frames, want %d, or they differ", size, len(frames), len(want))
		}
		if s.rest != nil {
			t.Errorf("in pieces of %d bytes: %d are kept", size, len(s.rest))
		}
	}
}
