//go:build linux

package server

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

func TestSessionHandlesSplitInput(t *testing.T) {
	in := []byte("GET / HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	var want []byte
	for _, f := range []ws.Frame{
		ws.NewBinaryFrame([]byte("short")),
		ws.NewBinaryFrame([]byte(strings.Repeat("longer ", 100))),
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
		messages := 0
		for rest := in; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			var echoed Count
			var err error
			if out, echoed, err = s.feed(rest[:min(size, len(rest))], out); err != nil {
				t.Fatal(err)
			}
			messages += int(echoed.Messages)
		}
		if messages != 3 {
			t.Errorf("in pieces of %d bytes: %d messages echoed, want 3", size, messages)
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

func TestCompressionIsAcceptedWhereItIsOffered(t *testing.T) {
	const offer = "permessage-deflate; client_max_window_bits"
	for _, test := range []struct{ path, offer, accepted string }{
		{"/", offer, ""},
		{TakeoverPath, "", ""},
		{TakeoverPath, offer, "permessage-deflate"},
		{TakeoverPath, offer + "; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15"},
		{FreshPath, offer, "permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
	} {
		var s session
		request := "GET " + test.path + " HTTP/1.1\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Extensions: " + test.offer + "\r\n\r\n"
		out, _, err := s.feed([]byte(request), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(headerValue(out, "sec-websocket-extensions")); got != test.accepted {
			t.Errorf("%s, offered %q: %q, want %q", test.path, test.offer, got, test.accepted)
		}
	}
}

func TestCompressedFramesAreEchoedAsTheyAre(t *testing.T) {
	frame := ws.NewFrame(ws.OpBinary, true, []byte("compressed"))
	frame.Header.Rsv = ws.Rsv(true, false, false)
	_, echoed, out, err := echo(ws.MustCompileFrame(ws.MaskFrame(frame)), nil, true)
	if want := ws.MustCompileFrame(frame); echoed != (Count{1, 10}) || err != nil || !bytes.Equal(out, want) {
		t.Errorf("%+v, %q, %v, want %q", echoed, out, err, want)
	}
	frame.Header.Rsv = 0
	if _, _, _, err := echo(ws.MustCompileFrame(ws.MaskFrame(frame)), nil, true); err != errUncompressed {
		t.Errorf("not compressed: %v", err)
	}
}

func TestTextIsForAll(t *testing.T) {
	text, binary := ws.NewTextFrame([]byte("to all")), ws.NewBinaryFrame([]byte("back"))
	var in []byte
	for _, f := range []ws.Frame{binary, text, binary} {
		in = append(in, ws.MustCompileFrame(ws.MaskFrame(f))...)
	}
	s := session{open: true}
	for _, want := range []error{toAll{ws.MustCompileFrame(text)}, nil} {
		out, echoed, err := s.feed(in, nil)
		if echoed.Messages != 1 || !bytes.Equal(out, ws.MustCompileFrame(binary)) || !reflect.DeepEqual(err, want) {
			t.Errorf("%+v, %q, %v, want %v", echoed, out, err, want)
		}
		in = nil
	}
}
