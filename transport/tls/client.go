package tls

import (
	"context"
	"crypto/tls"
	"net"
	"strings"

	"github.com/seed004e8d11/websock/internal/deadline"
)

// Client performs the TLS handshake over conn, in the client role, within ctx.
// host is the host name or IP address that was dialled, with or without brackets.
// A nil config means the system's roots. The connection can be moved with New. On an error
// the caller closes conn, which is closed already if ctx has ended.
func Client(ctx context.Context, conn net.Conn, host string, config *tls.Config) (*tls.Conn, error) {
	secured := tls.Client(&wire{conn: deadline.Wrap(conn)}, configFor(host, config))
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secured, nil
}

// serverName strips what is no part of a name or address in a certificate:
// brackets, an IPv6 zone, the dot at the end of an absolute name.
func serverName(host string) string {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	host, _, _ = strings.Cut(host, "%")
	return strings.TrimSuffix(host, ".")
}
