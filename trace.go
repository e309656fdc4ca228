package websock

import (
	"crypto/tls"
	"net"
	"net/url"
)

// A Trace is told of the steps in which Open and Dial make a connection. Any of its functions
// may be nil. They are called one after another, from the goroutine of Open or Dial, and have
// to return soon: the step waits. After a redirect the steps come again.
//
// How names are looked up, and which addresses are tried, an httptrace.ClientTrace in the
// context is told by net.Dialer. How the connection ends, Handler.OnClose is told.
type Trace struct {
	// DialStart and DialDone enclose connecting to addr, which is the proxy's if there is
	// one, and all that Config.DialTLS does.
	DialStart func(network, addr string)
	DialDone  func(network, addr string, conn net.Conn, err error)

	// ProxyStart and ProxyDone enclose asking a proxy, once connected to it, for addr.
	ProxyStart func(proxy *url.URL, addr string)
	ProxyDone  func(proxy *url.URL, addr string, err error)

	// TLSStart and TLSDone enclose the TLS handshake with host: the proxy, if its scheme is
	// https, and the server, if it is to be secure.
	TLSStart func(host string)
	TLSDone  func(host string, state tls.ConnectionState, err error)

	// HandshakeStart and HandshakeDone enclose the opening handshake with host, the Host
	// header. FirstByte comes between, with the first byte of the server's answer.
	HandshakeStart func(host string)
	FirstByte      func()
	HandshakeDone  func(host string, err error)

	// Sent and Received are given the bytes of the opening handshake, between HandshakeStart
	// and HandshakeDone. They may come in pieces, and the server's first frames may be
	// received with its answer. p is valid until they return, and not to be changed.
	Sent     func(p []byte)
	Received func(p []byte)
}

// noTrace stands for none.
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

// watch returns conn for the opening handshake, which tells of what is sent and received.
func (t *Trace) watch(conn net.Conn) net.Conn {
	if t.FirstByte == nil && t.Sent == nil && t.Received == nil {
		return conn
	}
	return &watchedConn{Conn: conn, trace: t}
}

// A watchedConn tells a Trace of what is read from it and written to it.
type watchedConn struct {
	net.Conn
	trace *Trace
	began bool // the first byte came
}

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n == 0 {
		return n, err
	}
	if !c.began && c.trace.FirstByte != nil {
		c.trace.FirstByte()
	}
	c.began = true
	if c.trace.Received != nil {
		c.trace.Received(p[:n])
	}
	return n, err
}

func (c *watchedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if n > 0 && c.trace.Sent != nil {
		c.trace.Sent(p[:n])
	}
	return n, err
}
