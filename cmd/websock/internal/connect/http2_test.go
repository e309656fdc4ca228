package connect

import (
	"bytes"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/std"
)

// http2Frames returns the bytes that write has a Framer write.
func http2Frames(write func(f *http2.Framer)) []byte {
	var b bytes.Buffer
	f := http2.NewFramer(&b, nil)
	f.AllowIllegalWrites = true
	write(f)
	return b.Bytes()
}

// compressed returns a header list, compressed without the table of earlier lists.
func compressed(fields ...hpack.HeaderField) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	e.SetMaxDynamicTableSize(0)
	for _, f := range fields {
		e.WriteField(f)
	}
	return b.Bytes()
}

func TestHTTP2FramesAreLoggedHoweverTheyAreSplit(t *testing.T) {
	list := compressed(hpack.HeaderField{Name: ":status", Value: "200"}, hpack.HeaderField{Name: "set-cookie", Value: "id=1"},
		hpack.HeaderField{Name: "x-key", Value: "secret", Sensitive: true}, hpack.HeaderField{Name: "x-name", Value: "a\x1bb"},
		hpack.HeaderField{Name: ":path", Value: "/?a", Sensitive: true})
	const size = "< HTTP/2 HEADERS, stream 1, END_HEADERS"
	for _, test := range []struct {
		name  string
		write func(f *http2.Framer)
		want  string
	}{
		{"SETTINGS", func(f *http2.Framer) {
			f.WriteSettings(http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1}, http2.Setting{ID: 77, Val: 5})
			f.WriteSettingsAck()
		}, "< HTTP/2 SETTINGS, stream 0, 12 bytes: ENABLE_CONNECT_PROTOCOL 1, UNKNOWN_SETTING_77 5\n< HTTP/2 SETTINGS, stream 0, ACK, 0 bytes\n"},
		{"WINDOW_UPDATE", func(f *http2.Framer) { f.WriteWindowUpdate(3, 1000) }, "< HTTP/2 WINDOW_UPDATE, stream 3, 4 bytes: 1000 more\n"},
		{"GOAWAY", func(f *http2.Framer) { f.WriteGoAway(5, http2.ErrCodeEnhanceYourCalm, []byte("too\nmany")) },
			"< HTTP/2 GOAWAY, stream 0, 16 bytes: last stream 5, ENHANCE_YOUR_CALM \"too\\nmany\"\n"},
		{"PING", func(f *http2.Framer) { f.WritePing(true, [8]byte{1, 2}) }, "< HTTP/2 PING, stream 0, ACK, 8 bytes: 0102000000000000\n"},
		{"RST_STREAM", func(f *http2.Framer) { f.WriteRSTStream(1, http2.ErrCodeRefusedStream) }, "< HTTP/2 RST_STREAM, stream 1, 4 bytes: REFUSED_STREAM\n"},
		{"HEADERS", func(f *http2.Framer) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: list, EndHeaders: true, EndStream: true, PadLength: 3})
		}, "< HTTP/2 HEADERS, stream 1, END_STREAM, END_HEADERS, PADDED, 39 bytes\n<   :status: 200\n<   set-cookie: xxxxx\n<   x-key: xxxxx\n<   x-name: a\\x1bb\n<   :path: /?a\n"},
		{"CONTINUATION", func(f *http2.Framer) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: list[:3]})
			f.WriteContinuation(1, true, list[3:])
		}, "< HTTP/2 HEADERS, stream 1, 3 bytes\n<   :status: 200\n< HTTP/2 CONTINUATION, stream 1, END_HEADERS, 32 bytes\n<   set-cookie: xxxxx\n<   x-key: xxxxx\n<   x-name: a\\x1bb\n<   :path: /?a\n"},
		{"a list that can't be decompressed", func(f *http2.Framer) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x80}, EndHeaders: true})
		}, size + ", 1 bytes\n<   not decompressed: decoding error: invalid indexed representation index 0\n"},
		{"DATA", func(f *http2.Framer) {
			f.WriteData(1, false, frame(true, websock.OpText, "hello")[:4])
			f.WriteData(3, false, frame(true, websock.OpText, "other"))
			f.WriteDataPadded(1, true, frame(true, websock.OpText, "hello")[4:], []byte{0, 0})
		}, "< HTTP/2 DATA, stream 1, 4 bytes\n< HTTP/2 DATA, stream 3, 7 bytes\n< text, 5 bytes: \"other\"\n< HTTP/2 DATA, stream 1, END_STREAM, PADDED, 6 bytes\n< text, 5 bytes: \"hello\"\n"},
		{"DATA of a response that declines", func(f *http2.Framer) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: compressed(hpack.HeaderField{Name: ":status", Value: "404"}), EndHeaders: true})
			f.WriteData(1, true, []byte("Me"))
		}, size + ", 2 bytes\n<   :status: 404\n< HTTP/2 DATA, stream 1, END_STREAM, 2 bytes\n"},
		{"an unknown frame", func(f *http2.Framer) { f.WriteRawFrame(0x42, 0xff, 9, []byte("x")) }, "< HTTP/2 UNKNOWN_FRAME_TYPE_66, stream 9, 1 bytes\n"},
		{"a malformed frame", func(f *http2.Framer) {
			f.WriteRawFrame(http2.FramePing, 0, 0, []byte("x"))
			f.WritePing(false, [8]byte{})
		}, "< HTTP/2 PING, stream 0, 1 bytes: malformed: connection error: FRAME_SIZE_ERROR\n< HTTP/2 PING, stream 0, 8 bytes: 0000000000000000\n"},
	} {
		all := slices.Concat(http2Frames(func(f *http2.Framer) { f.WriteSettings() }), http2Frames(test.write))
		want := "< HTTP/2 SETTINGS, stream 0, 0 bytes\n" + test.want
		for step := 1; step <= len(all); step++ {
			var out bytes.Buffer
			l := newHTTP2Log("<", &out, "")
			for piece := range slices.Chunk(all, step) {
				l.add(piece)
			}
			if out.String() != want {
				t.Fatalf("%s in steps of %d:\n%s, want\n%s", test.name, step, out.String(), want)
			}
		}
	}
}

// A connection shows with its first byte, in whichever direction, which protocol it speaks.
func TestConnectionsAreLoggedByTheirProtocol(t *testing.T) {
	settings := string(http2Frames(func(f *http2.Framer) { f.WriteSettings() }))
	text := string(frame(true, websock.OpText, "hi"))
	for _, test := range []struct {
		name, received, sent string
		want                 []string
	}{
		{"HTTP/2, the client first", "", http2.ClientPreface + settings, []string{"> HTTP/2 preface", "> HTTP/2 SETTINGS, stream 0, 0 bytes"}},
		{"HTTP/2, the server first", settings, http2.ClientPreface, []string{"< HTTP/2 SETTINGS, stream 0, 0 bytes", "> HTTP/2 preface"}},
		{"WebSocket, the server first", text, text, []string{`< text, 2 bytes: "hi"`, `> text, 2 bytes: "hi"`}},
		{"WebSocket, the client first", "", text, []string{`> text, 2 bytes: "hi"`}},
	} {
		var out bytes.Buffer
		conn, peer := net.Pipe()
		go io.Copy(io.Discard, peer)
		c, err := frameLogger{std.Transport(), &out}.Attach(conn, []byte(test.received))
		if err != nil {
			t.Fatal(err)
		}
		for piece := range slices.Chunk([]byte(test.sent), 5) {
			if err := c.Writev(piece); err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
		peer.Close()
		if got := strings.TrimSpace(out.String()); got != strings.Join(test.want, "\n") {
			t.Errorf("%s:\n%s", test.name, got)
		}
	}
}

func TestWhatIsNoHTTP2IsLoggedOnce(t *testing.T) {
	var out bytes.Buffer
	l := newHTTP2Log("<", &out, "")
	for range 2 {
		l.add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	}
	if want := "< no HTTP/2: \"HTTP/1.1 400 Bad Request\\r\\n\\r\\n\"\n"; out.String() != want {
		t.Errorf("%s, want %s", out.String(), want)
	}
}
