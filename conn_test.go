package websock

import (
	"crypto/tls"
	"strings"
	"testing"
	"unsafe"
)

func TestConnectionsShareEqualHandshakeResults(t *testing.T) {
	const head, tail = "Upgrade: websocket\r\nX-Server: 1\r\n", "Server: test\r\n"
	opened := func(o Options) *Conn { return NewConn(&scriptTransport{}, Client, o) }
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
		if c := NewConn(&scriptTransport{}, Client, Options{RawHeader: []byte(raw)}); c.HandshakeHeader() == nil {
			t.Errorf("%q: no header", raw)
		}
	}
}

func TestABusyConnUsesFewCacheLines(t *testing.T) {
	if size := unsafe.Sizeof(Conn{}); size > 128 {
		t.Errorf("a Conn takes %d bytes, want at most 128", size)
	}
	if size := unsafe.Sizeof(counts{}); size > 64 {
		t.Errorf("its counts take %d bytes, want at most 64", size)
	}
}

func TestAConnKeepsAValue(t *testing.T) {
	c := NewConn(&scriptTransport{}, Client, Options{})
	if v := c.Value(); v != nil {
		t.Errorf("%v before SetValue", v)
	}
	c.SetValue(7)
	c.Close()
	if v := c.Value(); v != 7 {
		t.Errorf("%v, want 7", v)
	}
	c.SetValue(nil)
	if v := c.Value(); v != nil {
		t.Errorf("%v after SetValue(nil)", v)
	}
}

func TestConnReturnsTheResultOfTheHandshake(t *testing.T) {
	c := NewConn(&scriptTransport{}, Server, Options{Subprotocol: "chat", RawHeader: []byte("X-A: 1\r\nx-a: 2\r\n")})
	if c.Role() != Server || c.Subprotocol() != "chat" {
		t.Errorf("%v, %q", c.Role(), c.Subprotocol())
	}
	if got := strings.Join(c.HandshakeHeader()["X-A"], ","); got != "1,2" {
		t.Errorf("%q", got)
	}
	for _, raw := range []string{"", "no header line\r\n"} {
		c := NewConn(&scriptTransport{}, Client, Options{RawHeader: []byte(raw)})
		if h := c.HandshakeHeader(); h == nil || len(h) != 0 {
			t.Errorf("%q becomes %v", raw, h)
		}
	}
}

func TestTLSReturnsTheStateOfTheTransport(t *testing.T) {
	state := &tls.ConnectionState{Version: tls.VersionTLS13}
	if got := NewConn(&fixedQueueTransport{scriptTransport: &scriptTransport{}, state: state}, Client, Options{}).TLS(); got != state {
		t.Errorf("%v", got)
	}
	if got := NewConn(&scriptTransport{}, Client, Options{}).TLS(); got != nil {
		t.Errorf("without TLS %v", got)
	}
}

func TestCompressionReturnsWhatWasNegotiated(t *testing.T) {
	for _, test := range []struct{ given, want Compression }{
		{Compression{}, Compression{}},
		{Compression{Threshold: 5, SendTakeover: true}, Compression{}},
		{Compression{Level: 3}, Compression{Level: 3, SendWindowBits: 15, RecvWindowBits: 15}},
		{Compression{Level: 99, Threshold: -1, SendWindowBits: 3, RecvWindowBits: 77}, Compression{Level: 9, SendWindowBits: 8, RecvWindowBits: 15}},
		{Compression{Level: 1, SendWindowBits: 8, RecvWindowBits: 8}, Compression{Level: 1, SendWindowBits: 8, RecvWindowBits: 9}},
		{DefaultCompression, DefaultCompression},
	} {
		c, _ := newCompressing(Client, test.given, Limits{})
		if got := c.Compression(); got != test.want {
			t.Errorf("%+v: %+v, want %+v", test.given, got, test.want)
		}
	}
}
