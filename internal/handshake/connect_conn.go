package handshake

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// takeBody sends the response of HTTP/2 that agrees, and returns the stream as a net.Conn: what
// the client sends is the body of its request, and what is sent to it the body of the response. So
// net/http's own server can serve WebSockets, which has no way to take over a stream.
//
// Like Hijack, takeBody goes below the wrappers of middleware, which may change or hold back what is
// written, and ends the timeouts of http.Server. It doesn't call EnableFullDuplex: HTTP/2 is full
// duplex in net/http.
func takeBody(w http.ResponseWriter, r *http.Request, agreed negotiated, o *ServerOptions) (net.Conn, *HandshakeError) {
	below := innermost(w)
	if _, ok := below.(http.Flusher); !ok {
		refusal := refuseWith(http.StatusInternalServerError, "the stream can't be taken over")
		refusal.Err = hiddenBy(below)
		return nil, decline(w, r, refusal)
	}
	header := streamHeader(below.Header(), r, agreed, o)
	clear(below.Header())
	for name, values := range header {
		below.Header()[name] = values
	}
	controller := http.NewResponseController(below)
	controller.SetWriteDeadline(time.Now().Add(responseTimeout)) // if it isn't supported, net/http's timeouts count
	below.WriteHeader(http.StatusOK)
	if err := controller.Flush(); err != nil {
		return nil, &HandshakeError{Reason: "the response can't be sent", Err: err}
	}
	controller.SetWriteDeadline(time.Time{})
	controller.SetReadDeadline(time.Time{})
	conn := &bodyConn{
		body:    r.Body,
		w:       below,
		control: controller,
		served:  r.Context(),
		local:   localAddr(r.Context()),
		remote:  parseAddr(r.RemoteAddr),
	}
	if r.TLS != nil {
		return &securedBodyConn{bodyConn: conn, state: *r.TLS}, nil
	}
	return conn, nil
}

// hiddenBy returns the error for a ResponseWriter below which the server's is not found.
func hiddenBy(w http.ResponseWriter) error {
	return fmt.Errorf("%T hides the http.ResponseWriter of the server, and has no method Unwrap: %w", w, http.ErrNotSupported)
}

// A bodyConn is a stream of HTTP/2 as a net.Conn, made of what net/http gives a handler. It has no
// deadlines: those of net/http end the stream. Package internal/deadline adds harmless ones.
//
// net/http ends the stream when the handler returns, and then uses its ResponseWriter for another
// stream. So a bodyConn must be closed by then, and must not be used after Close has returned.
type bodyConn struct {
	body    io.ReadCloser
	w       http.ResponseWriter
	control *http.ResponseController
	served  context.Context // ends with the stream, and when the handler has returned
	local   net.Addr
	remote  net.Addr

	state   atomic.Uint32 // one of the states below
	writing sync.Mutex    // held during a Write
}

// EndsWithHandler reports whether conn is a stream that ends when the handler returns that called Accept.
func EndsWithHandler(conn net.Conn) bool {
	switch conn.(type) {
	case *bodyConn, *securedBodyConn:
		return true
	}
	return false
}

// The states of a bodyConn. It only goes on to later ones.
const (
	bodyOpen      uint32 = iota
	bodyHalfEnded        // CloseWrite was called
	bodyClosed
)

// errServed is returned by a Write after the stream has ended.
var errServed = errors.New("websock: the HTTP/2 stream has ended, or its handler has returned")

// Read reads what the client has sent, or waits for it. At the end of the stream it returns io.EOF.
func (c *bodyConn) Read(p []byte) (int, error) {
	n, err := c.body.Read(p)
	if err == nil {
		return n, nil
	}
	switch c.state.Load() {
	case bodyHalfEnded:
		err = io.EOF
	case bodyClosed:
		err = net.ErrClosed
	}
	return n, err
}

// Write sends p, and waits until it has left.
func (c *bodyConn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	switch {
	case c.state.Load() != bodyOpen:
		return 0, net.ErrClosed
	case c.served.Err() != nil:
		return 0, errServed
	}
	n, err := c.w.Write(p)
	if err == nil {
		err = c.control.Flush()
	}
	if err != nil && c.state.Load() == bodyClosed {
		err = net.ErrClosed
	}
	return n, err
}

// CloseWrite ends writing, after a Write in progress, and reading too, with io.EOF. net/http ends our
// direction of the stream only when the handler returns, and until then the client wouldn't end its
// own: a handler that waited for that would wait in vain.
func (c *bodyConn) CloseWrite() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.state.CompareAndSwap(bodyOpen, bodyHalfEnded) {
		c.body.Close()
	}
	return nil
}

// Close makes Read and Write fail, also those in progress. A Write that waits for the client is
// ended by a reset of the stream, since there is no other way. Otherwise the stream ends properly
// when the handler returns.
func (c *bodyConn) Close() error {
	if c.state.Swap(bodyClosed) == bodyClosed {
		return net.ErrClosed
	}
	c.body.Close()
	if !c.writing.TryLock() {
		if c.served.Err() == nil {
			c.control.SetWriteDeadline(expired)
		}
		c.writing.Lock()
	}
	c.writing.Unlock()
	return nil
}

// LocalAddr returns the address of the server, or one without text if net/http doesn't tell it.
func (c *bodyConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the address of the client.
func (c *bodyConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline returns os.ErrNoDeadline.
func (c *bodyConn) SetDeadline(time.Time) error { return os.ErrNoDeadline }

// SetReadDeadline returns os.ErrNoDeadline.
func (c *bodyConn) SetReadDeadline(time.Time) error { return os.ErrNoDeadline }

// SetWriteDeadline returns os.ErrNoDeadline.
func (c *bodyConn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// A securedBodyConn is a bodyConn over TLS.
type securedBodyConn struct {
	*bodyConn
	state tls.ConnectionState
}

// ConnectionState returns the state of the TLS connection, as that of a *tls.Conn does.
func (c *securedBodyConn) ConnectionState() tls.ConnectionState { return c.state }

// A textAddr is an address that is no IP address and port, such as that of a Unix socket.
type textAddr string

func (textAddr) Network() string  { return "" }
func (a textAddr) String() string { return string(a) }

// localAddr returns the address that http.Server adds to the context of a request.
func localAddr(ctx context.Context) net.Addr {
	if addr, ok := ctx.Value(http.LocalAddrContextKey).(net.Addr); ok {
		return addr
	}
	return textAddr("")
}

// parseAddr returns an http.Request's RemoteAddr as an address.
func parseAddr(text string) net.Addr {
	if parsed, err := netip.ParseAddrPort(text); err == nil {
		return net.TCPAddrFromAddrPort(parsed)
	}
	return textAddr(text)
}
