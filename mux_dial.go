package websock

import (
	"context"
	stdtls "crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/internal/deadline"
	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/internal/keepalive"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/h2"
)

// Protocols of ALPN (RFC 7301 section 6).
const (
	protocolHTTP1 = "http/1.1"
	protocolHTTP2 = "h2"
	protocolHTTP3 = "h3"
)

// maxRefusals is how many times the stream of a Dial may be refused before the Dial fails.
const maxRefusals = 4

// open opens a WebSocket as a stream of a connection of the pool, or over an HTTP/1.1 connection if the
// server speaks nothing else.
func (m *Mux) open(ctx context.Context, o *opening) (*Conn, error) {
	var refuser *muxConn
	for refusals := 0; ; {
		lease, err := m.acquire(ctx, o.key, o, refuser)
		switch {
		case err != nil:
			return nil, err
		case lease.http1 != nil:
			return lease.http1.open(ctx, o)
		case lease.conn == nil:
			return o.dialHTTP1(ctx)
		}
		c, err := o.openStream(ctx, lease.conn.session)
		switch {
		case err == nil:
			return c, nil
		case requiresHTTP1(err):
			m.rememberHTTP1(o.key)
			continue
		case errors.Is(err, h2.ErrNoRoom) && !lease.conn.session.GoingAway():
			continue // another Dial was faster
		}
		refuser = lease.conn
		refusals++
		if !errors.Is(err, h2.ErrRefused) || refusals == maxRefusals || ctx.Err() != nil {
			return nil, err
		}
	}
}

// requiresHTTP1 reports whether err says that the server wants the request over HTTP/1.1 (RFC 9113
// section 7).
func requiresHTTP1(err error) bool {
	var stream *StreamError
	var session *SessionError
	return errors.As(err, &stream) && stream.Remote && stream.Code == http2.ErrCodeHTTP11Required ||
		errors.As(err, &session) && session.Remote && session.Code == http2.ErrCodeHTTP11Required
}

// rememberHTTP1 has the server asked for HTTP/1.1 for a while.
func (m *Mux) rememberHTTP1(key muxKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h, err := m.hostLocked(key); err == nil {
		h.rememberHTTP1Locked()
	}
}

// openStream opens a WebSocket as a stream of s.
func (o *opening) openStream(ctx context.Context, s muxSession) (*Conn, error) {
	cfg, policy := o.route.cfg, s.keepAlive(o.policy)
	cfg.trace().handshakeStart(o.request.Host)
	stream, result, err := o.performOverStream(ctx, s)
	cfg.trace().handshakeDone(o.request.Host, err)
	if err != nil {
		return nil, err
	}
	return newConn(stream, result, Client, attachOptions{handler: cfg.Handler, keepAlive: policy}, cfg.options())
}

// performOverStream performs the opening handshake on a new stream of s (RFC 8441 section 5).
func (o *opening) performOverStream(ctx context.Context, s muxSession) (transport.Conn, *handshake.Result, error) {
	stream, head, err := s.openStream(ctx, o.fields)
	switch {
	case errors.Is(err, errNotSent):
		return nil, nil, &HandshakeError{Reason: "the request can't be sent", Err: err}
	case err != nil:
		return nil, nil, handshake.NoResponse(ctx, err)
	}
	o.route.cfg.trace().firstByte()
	result, err := o.request.CheckResponse(ctx, head, stream)
	if err != nil {
		stream.Close()
		return nil, nil, err
	}
	return stream, result, nil
}

// An http2Session is an h2.Session in the pool.
type http2Session struct{ *h2.Session }

// errNotSent is in the chain of the error of a request that was not sent, so it can be sent on another
// connection.
var errNotSent = notSentError{}

type notSentError struct{}

func (notSentError) Error() string        { return "websock: the request was not sent" }
func (notSentError) Is(target error) bool { return target == h2.ErrRefused }

func (s http2Session) keepAlive(p *keepalive.Policy) *keepalive.Policy {
	return keepSessionAlive(s.Session, p)
}

func (s http2Session) openStream(ctx context.Context, fields []hpack.HeaderField) (transport.Conn, handshake.ResponseHead, error) {
	stream, err := openTogether(s.Session, fields)
	if err != nil {
		return nil, handshake.ResponseHead{}, fmt.Errorf("%w: %w", errNotSent, err)
	}
	head, err := stream.Head(ctx)
	if err != nil {
		stream.Close()
		return nil, handshake.ResponseHead{}, err
	}
	return stream, handshake.ResponseHead(head), nil
}

// A streamOpener is an h2.Session as openTogether needs it.
type streamOpener interface {
	Open(fields []hpack.HeaderField, endStream bool) (*h2.Stream, error)
	Cork()
	Flush()
}

// openTogether opens a stream. If other goroutines can run, and open streams of the same session, their
// requests are written together.
func openTogether(s streamOpener, fields []hpack.HeaderField) (*h2.Stream, error) {
	s.Cork()
	defer s.Flush()
	stream, err := s.Open(fields, false)
	if err == nil {
		runtime.Gosched()
	}
	return stream, err
}

// startDial makes an opening a muxDialer.
func (o *opening) startDial(ctx context.Context, c *muxConn) {
	r := *o.route
	cfg := *r.cfg // which the caller may change when its Dial has returned
	r.cfg = &cfg
	go c.host.mux.dial(ctx, c, &r)
}

// dial dials c, and tells it what that has led to.
func (m *Mux) dial(ctx context.Context, c *muxConn, r *route) {
	defer c.cancel()
	returned := false
	defer func() {
		if !returned { // a function of the caller, such as one of Trace, has called runtime.Goexit
			c.failed(&HandshakeError{Reason: "the goroutine that dials has ended"})
		}
	}()
	session, http1, err := m.connect(ctx, c, r)
	returned = true
	switch {
	case err != nil:
		c.failed(err)
	case session != nil:
		if !c.opened(session) {
			session.Close(http2.ErrCodeNo, nil)
		}
	default:
		if !c.foundHTTP1(http1) && http1 != nil {
			http1.close()
		}
	}
}

// connect connects to the server. It returns a session that can be used; or a connection with HTTP/1.1,
// which the server has chosen; or neither, if it has chosen HTTP/2 but wants HTTP/1.1 for a WebSocket.
func (m *Mux) connect(ctx context.Context, c *muxConn, r *route) (muxSession, *http1Conn, error) {
	if m.usesHTTP3(c, r) {
		session, err := m.connectHTTP3(ctx, c, r)
		if session != nil || err != nil {
			return session, nil, err
		}
	}
	conn, reserved, err := r.dialReserved(ctx, protocolHTTP2, protocolHTTP1)
	if err != nil {
		return nil, nil, err
	}
	if r.to.Secure && negotiated(conn) != protocolHTTP2 {
		return nil, &http1Conn{conn, reserved}, nil
	}
	defer reserved.Release()
	session, err := m.newSession(c, r.cfg, conn, reserved)
	if err != nil {
		return nil, nil, err
	}
	settings, err := session.Settings(ctx)
	switch {
	case requiresHTTP1(err):
		return nil, nil, nil
	case err != nil:
		session.Close(http2.ErrCodeNo, err)
		return nil, nil, &HandshakeError{Reason: "the server's HTTP/2 settings did not come", Err: err}
	case !settings.ExtendedConnect:
		session.Close(http2.ErrCodeNo, nil)
		return nil, nil, nil
	}
	return http2Session{session}, nil, nil
}

// negotiated returns the protocol that was agreed on with ALPN, or "" if none was or it is unknown.
func negotiated(conn net.Conn) string {
	secured, ok := deadline.Unwrap(conn).(interface {
		ConnectionState() stdtls.ConnectionState
	})
	if !ok {
		return ""
	}
	return secured.ConnectionState().NegotiatedProtocol
}

// maxHeaderBytes is the largest header list of a response that a session accepts. The limit of a Dial
// is checked when its response has come, as other Dials may have other limits.
const maxHeaderBytes = 16 << 20

// sessionHeaderBytes is the largest header list of a session that a Dial with cfg has dialled.
func sessionHeaderBytes(cfg *Config) int {
	return min(max(cfg.Limits.WithDefaults().HandshakeSize, DefaultHandshakeSize), maxHeaderBytes)
}

// newSession makes a session of conn. On an error it closes conn.
func (m *Mux) newSession(c *muxConn, cfg *Config, conn net.Conn, f transport.Factory) (*h2.Session, error) {
	carrier, err := Attach(f, conn, nil)
	if err != nil {
		conn.Close()
		return nil, refusedByTransport(err)
	}
	config := h2.Config{
		Window:         m.Window,
		MaxStreams:     m.streamsPerConn(),
		MaxHeaderBytes: sessionHeaderBytes(cfg),
		Changed:        func(*h2.Session) { c.changed() },
	}
	if m.Trace != nil {
		remote := carrier.RemoteAddr()
		config.Trace = func(f h2.Frame) { m.Trace(remote, f) }
	}
	session, err := h2.NewClient(carrier, config)
	if err != nil {
		return nil, &HandshakeError{Reason: "the transport can't carry HTTP/2", Err: err}
	}
	return session, nil
}
