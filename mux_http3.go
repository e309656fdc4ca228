package websock

import (
	"context"
	"errors"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/internal/keepalive"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/h2"
	"github.com/seed004e8d11/websock/transport/tls"
)

// usesHTTP3 reports whether c is to be dialled with HTTP/3 first.
func (m *Mux) usesHTTP3(c *muxConn, r *route) bool {
	cfg := r.cfg
	switch {
	case m.HTTP3 == nil, !r.to.Secure, r.to.Network != "tcp", r.proxy != nil, cfg.NetDial != nil, cfg.DialTLS != nil:
		return false
	case cfg.Dialer != nil && (cfg.Dialer.Control != nil || cfg.Dialer.ControlContext != nil):
		return false // a Control may be what keeps a program out of a network
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return !c.host.avoidsHTTP3Locked()
}

// connectHTTP3 connects with HTTP/3. It returns neither a session nor an error if the server can't be
// reached with it.
func (m *Mux) connectHTTP3(ctx context.Context, c *muxConn, r *route) (muxSession, error) {
	to := transport.StreamTarget{
		Host:           r.to.Host,
		Port:           r.to.Port,
		TLS:            tls.ClientConfig(r.to.Host, r.cfg.TLS, protocolHTTP3),
		Patience:       c.patience,
		MaxStreams:     m.streamsPerConn(),
		MaxHeaderBytes: sessionHeaderBytes(r.cfg),
		Window:         m.Window,
		Changed:        c.changed,
	}
	if d := r.cfg.Dialer; d != nil {
		to.Source, to.Resolver = d.LocalAddr, d.Resolver
	}
	session, err := m.HTTP3.DialStreams(ctx, to)
	switch {
	case err == nil:
		return http3Session{session}, nil
	case ctx.Err() != nil:
	case errors.Is(err, transport.ErrNotAsked):
		return nil, nil
	case errors.Is(err, transport.ErrUnsupported):
		c.avoidHTTP3()
		return nil, nil
	}
	return nil, &HandshakeError{Reason: "can't connect with HTTP/3", Err: withCtxErr(ctx, err)}
}

// An http3Session is a transport.StreamSession in the pool.
type http3Session struct{ transport.StreamSession }

func (s http3Session) openStream(ctx context.Context, fields []hpack.HeaderField) (transport.Conn, handshake.ResponseHead, error) {
	conn, head, err := s.OpenStream(ctx, fields)
	if errors.Is(err, h2.ErrNoRoom) {
		err = errors.Join(errNotSent, err)
	}
	return conn, handshake.ResponseHead(head), err
}

func (s http3Session) keepAlive(p *keepalive.Policy) *keepalive.Policy {
	return keepSessionAlive(s.StreamSession, p)
}

func (s http3Session) Close(_ http2.ErrCode, cause error) { s.StreamSession.Close(cause) }
