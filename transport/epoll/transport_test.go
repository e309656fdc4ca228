//go:build linux

package epoll

import (
	stdtls "crypto/tls"
	"errors"
	"net"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/std"
)

func TestConnectionsWithoutADescriptorFallBackToStd(t *testing.T) {
	pipe, other := net.Pipe()
	defer other.Close()
	tcp, _ := sockets(t, "tcp")
	for name, conn := range map[string]net.Conn{
		"a pipe":                         pipe,
		"TLS that others have begun":     stdtls.Client(tcp, &stdtls.Config{ServerName: "example.com"}),
		"a net.Conn around one of these": addressed{Conn: tcp, local: tcp.LocalAddr(), remote: tcp.RemoteAddr()},
	} {
		if c, err := Transport().Attach(conn, nil); err != transport.ErrUnsupported || c != nil {
			t.Errorf("%s: %v, %v", name, c, err)
		}
		c, err := websock.Attach(Transport(), conn, []byte("early"))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := c.(*std.Conn); !ok {
			t.Errorf("%s is carried by a %T", name, c)
		}
		if view, err := c.View(); string(view) != "early" || err != nil {
			t.Errorf("%s: %q, %v", name, view, err)
		}
	}
	pipe.Close()
}

func TestClosedConnectionCannotBeAttached(t *testing.T) {
	client, _ := sockets(t, "tcp")
	client.Close()
	if transport, err := Transport().Attach(client, nil); !errors.Is(err, net.ErrClosed) || transport != nil {
		t.Errorf("%v, %v", transport, err)
	}
}
