package tls

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/seed004e8d11/websock/internal/deadline"
)

// Client performs the client side of the TLS handshake over conn. host is the host name or IP
// address that was dialled, with or without brackets; the server's certificate must be valid for
// it. A nil config means the system's root certificates and at least TLS 1.2. protocols are offered
// with ALPN (RFC 7301), the preferred one first; none means http/1.1. Which of them the server has
// chosen is in the ConnectionState of the result; a server that doesn't know ALPN chooses none.
//
// If ctx ends before the handshake is complete, Client closes conn and returns the error of ctx. On
// any other error the caller closes conn. The returned connection can be moved with New.
func Client(ctx context.Context, conn net.Conn, host string, config *tls.Config, protocols ...string) (*tls.Conn, error) {
	secured := tls.Client(&wire{conn: deadline.Wrap(conn)}, configFor(host, config, protocols...))
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secured, nil
}

// ClientConfig returns the configuration that Client uses for these arguments, for a TLS handshake that
// something else performs, such as QUIC. It is shared, and must not be changed.
func ClientConfig(host string, config *tls.Config, protocols ...string) *tls.Config {
	return configFor(host, config, protocols...)
}

// Server returns the server side of a TLS connection over conn. The first Read, Write or Handshake
// performs the handshake. config must have a certificate. It is not modified; connections that
// share a config share the keys of their session tickets. Renegotiation is refused. The returned
// connection can be moved with New once its handshake is complete.
func Server(conn net.Conn, config *tls.Config) *tls.Conn {
	return tls.Server(&wire{conn: deadline.Wrap(conn)}, config)
}

// NewListener returns a listener that accepts connections from l and secures them with Server, so
// that net/http.Server can use it: Accept returns a *tls.Conn whose handshake has not begun. config
// is cloned. If its NextProtos is empty, the listener negotiates http/1.1 with ALPN, which the
// opening handshake needs.
func NewListener(l net.Listener, config *tls.Config) net.Listener {
	config = config.Clone()
	if len(config.NextProtos) == 0 {
		config.NextProtos = []string{"http/1.1"}
	}
	return &listener{l, config}
}

type listener struct {
	net.Listener
	config *tls.Config
}

func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return Server(conn, l.config), nil
}
