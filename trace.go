package websock

import (
	"crypto/tls"
	"net"
	"net/url"
)

// A Trace has functions that Open and Dial call at each step of connecting. Any of them may be nil.
// They are called one after another, on the goroutine of Open or Dial, which waits until they
// return. After a redirect the steps are repeated.
//
// With Config.Mux, the functions up to TLSDone are called only for the Dial that has a connection
// dialled, before its HandshakeStart; and by a goroutine of their own, since other Dials may wait for
// that connection. If Dial returns earlier, since its context has ended or because another connection
// had room, they may be called afterwards. A stream that is refused has a handshake for each time.
//
// To observe name lookups and the addresses that are tried, put an httptrace.ClientTrace into the
// context: net.Dialer calls it. Handler.OnClose reports the end of the connection.
type Trace struct {
	// DialStart and DialDone are called before and after connecting to addr, which is that of
	// the proxy if there is one. With Config.DialTLS they are called before and after that.
	DialStart func(network, addr string)
	DialDone  func(network, addr string, conn net.Conn, err error)

	// ProxyStart and ProxyDone are called before and after a proxy, which is connected, is
	// asked to connect to addr.
	ProxyStart func(proxy *url.URL, addr string)
	ProxyDone  func(proxy *url.URL, addr string, err error)

	// TLSStart and TLSDone are called before and after a TLS handshake with host, which is an
	// https proxy or the server.
	TLSStart func(host string)
	TLSDone  func(host string, state tls.ConnectionState, err error)

	// HandshakeStart and HandshakeDone are called before and after the opening handshake. host
	// is the Host header. FirstByte is called between them, with the first byte of the
	// response.
	HandshakeStart func(host string)
	FirstByte      func()
	HandshakeDone  func(host string, err error)

	// Sent and Received are called with the bytes of the opening handshake, between
	// HandshakeStart and HandshakeDone, possibly several times. The server's first frames may
	// come with its response. p is valid until the call returns and must not be changed. They are
	// not called for a stream of HTTP/2, of which Mux.Trace is told.
	Sent     func(p []byte)
	Received func(p []byte)
}

// noTrace is the Trace of a Config without one.
var noTrace Trace

func (c *Config) trace() *Trace {
	if c.Trace == nil {
		return &noTrace
	}
	return c.Trace
}

func (t *Trace) dialStart(network, addr string) {
	if t.DialStart != nil {
		t.DialStart(network, addr)
	}
}

func (t *Trace) dialDone(network, addr string, conn net.Conn, err error) {
	if t.DialDone != nil {
		t.DialDone(network, addr, conn, err)
	}
}

func (t *Trace) proxyStart(proxy *url.URL, addr string) {
	if t.ProxyStart != nil {
		t.ProxyStart(proxy, addr)
	}
}

func (t *Trace) proxyDone(proxy *url.URL, addr string, err error) {
	if t.ProxyDone != nil {
		t.ProxyDone(proxy, addr, err)
	}
}

func (t *Trace) tlsStart(host string) {
	if t.TLSStart != nil {
		t.TLSStart(host)
	}
}

func (t *Trace) tlsDone(host string, state tls.ConnectionState, err error) {
	if t.TLSDone != nil {
		t.TLSDone(host, state, err)
	}
}

func (t *Trace) handshakeStart(host string) {
	if t.HandshakeStart != nil {
		t.HandshakeStart(host)
	}
}

func (t *Trace) handshakeDone(host string, err error) {
	if t.HandshakeDone != nil {
		t.HandshakeDone(host, err)
	}
}

func (t *Trace) firstByte() {
	if t.FirstByte != nil {
		t.FirstByte()
	}
}

// conn returns conn with calls of FirstByte, Sent and Received.
func (t *Trace) conn(conn net.Conn) net.Conn {
	if t.FirstByte == nil && t.Sent == nil && t.Received == nil {
		return conn
	}
	return &tracedConn{Conn: conn, trace: t}
}

// A tracedConn calls the functions of a Trace for the bytes that are read and written.
type tracedConn struct {
	net.Conn
	trace    *Trace
	received bool // some bytes
}

func (c *tracedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n == 0 {
		return n, err
	}
	if !c.received {
		c.trace.firstByte()
	}
	c.received = true
	if c.trace.Received != nil {
		c.trace.Received(p[:n])
	}
	return n, err
}

func (c *tracedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if n > 0 && c.trace.Sent != nil {
		c.trace.Sent(p[:n])
	}
	return n, err
}
