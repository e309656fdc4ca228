package tls

import (
	"crypto/tls"
	"net"

	"github.com/seed004e8d11/websock/internal/deadline"
)

// Server returns a connection that performs the TLS handshake over conn, in the server role,
// with its first Read or Write. config has at least a certificate; it is not written to, and
// as with crypto/tls connections share what resumes sessions if they share a config.
// Renegotiation is refused. The connection can be moved with New once its handshake is done.
func Server(conn net.Conn, config *tls.Config) *tls.Conn {
	return tls.Server(&wire{conn: deadline.Wrap(conn)}, config)
}

// NewListener returns a listener whose connections are those of l, secured with Server: what
// Accept returns is a *tls.Conn on which no handshake was done yet, which is what
// net/http.Server wants. config is copied. If it names no protocols for ALPN, http/1.1 is
// agreed, the one that the opening handshake needs.
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
