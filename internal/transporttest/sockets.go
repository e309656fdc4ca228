package transporttest

import (
	"net"
	"path/filepath"
	"testing"
)

// Sockets returns the two ends of a connection over the network given: "tcp", "unix" or
// "pipe". They are closed when the test ends.
func Sockets(t testing.TB, network string) (client, server net.Conn) {
	t.Helper()
	if network == "pipe" {
		client, server = net.Pipe()
	} else {
		addr := "127.0.0.1:0"
		if network == "unix" {
			addr = filepath.Join(t.TempDir(), "s")
		}
		l, err := net.Listen(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		client, err = net.Dial(network, l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if server, err = l.Accept(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

func (s Suite) sockets(t testing.TB, network string) (client, server net.Conn) {
	client, server = Sockets(t, network)
	if s.Secure != nil {
		client, server = s.Secure(t, client, server)
	}
	return client, server
}
