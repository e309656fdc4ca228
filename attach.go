package websock

import (
	stdtls "crypto/tls"
	"errors"
	"net"

	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/std"
	"github.com/seed004e8d11/websock/transport/tls"
)

// Attach makes the transport of conn, as Dial and Accept do it, for programs that perform the
// opening handshake themselves and call NewConn. early are bytes that were read from conn: they are
// received first, and belong to the transport.
//
// TLS that package transport/tls has begun is put over what f makes of the connection underneath.
// What f can't carry is carried by transport/std. On an error, which is that of f, conn is as it
// was.
func Attach(f transport.Factory, conn net.Conn, early []byte) (transport.Conn, error) {
	if secured, ok := conn.(*stdtls.Conn); ok {
		if below, ok := tls.NetConn(secured); ok {
			inner, err := attachPlain(f, below, nil)
			if err != nil {
				return nil, err
			}
			return tls.New(secured, inner, early)
		}
	}
	return attachPlain(f, conn, early)
}

func attachPlain(f transport.Factory, conn net.Conn, early []byte) (transport.Conn, error) {
	c, err := f.Attach(conn, early)
	if errors.Is(err, transport.ErrUnsupported) {
		return std.New(conn, early), nil
	}
	return c, err
}
