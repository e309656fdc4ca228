package websock

import (
	"strings"
	"testing"
)

func TestConnectionsThatAgreedOnTheSameShareIt(t *testing.T) {
	const head, tail = "Upgrade: websocket\r\nX-Server: 1\r\n", "Server: test\r\n"
	opened := func(o Options) *Conn { return NewConn(&script{}, Client, o) }
	raw := func(nonce string) []byte { return []byte(head + nonce + tail) }
	first := opened(Options{RawHeader: raw("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), Subprotocol: "chat"})
	for name, o := range map[string]Options{
		"another nonce": {RawHeader: raw("sec-websocket-accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\n"), Subprotocol: "chat"},
		"the client's":  {RawHeader: raw("Sec-WebSocket-Key:dGhlIHNhbXBsZSBub25jZQ==\r\n"), Subprotocol: "chat"},
		"none":          {RawHeader: raw(""), Subprotocol: "chat"},
		"at the start":  {RawHeader: []byte("Sec-WebSocket-Key: x\r\n" + head + tail), Subprotocol: "chat"},
		"at the end":    {RawHeader: []byte(head + tail + "Sec-WebSocket-Key: x\r\n"), Subprotocol: "chat"},
	} {
		if opened(o).handshake != first.handshake {
			t.Errorf("%s: not shared, but %+v", name, opened(o).handshake.Value())
		}
	}
	for name, o := range map[string]Options{
		"another subprotocol": {RawHeader: raw(""), Subprotocol: "superchat"},
		"another header":      {RawHeader: []byte(head), Subprotocol: "chat"},
		"a similar name":      {RawHeader: raw("X-Sec-WebSocket-Key: x\r\n"), Subprotocol: "chat"},
	} {
		if opened(o).handshake == first.handshake {
			t.Errorf("%s: shared", name)
		}
	}
	header := first.HandshakeHeader()
	if len(header) != 3 || header.Get("Upgrade") != "websocket" || header.Get("Server") != "test" {
		t.Errorf("%v", header)
	}
	if header.Set("Server", "changed"); first.HandshakeHeader().Get("Server") != "test" {
		t.Error("what the caller changes is seen by others")
	}
}

func TestAHeaderWithoutLineEndsIsKept(t *testing.T) {
	for _, raw := range []string{"", "X", "X: 1", strings.Repeat("\n", 3), "Sec-WebSocket-Key"} {
		if c := NewConn(&script{}, Client, Options{RawHeader: []byte(raw)}); c.HandshakeHeader() == nil {
			t.Errorf("%q: no header", raw)
		}
	}
}
