// Package netpair makes pairs of connected net.Conns for tests.
package netpair

import (
	"errors"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Sockets returns the two ends of a connection over network: "tcp", "unix", "pipe" (net.Pipe) or
// "tunnel" (TCP WithoutDeadlines). They are closed when the test ends. A test that needs Unix sockets is
// skipped where there are none: see RequireUnix.
func Sockets(t testing.TB, network string) (client, server net.Conn) {
	t.Helper()
	switch network {
	case "pipe":
		client, server = net.Pipe()
	case "tunnel":
		client, server = Sockets(t, "tcp")
		client, server = WithoutDeadlines(client), WithoutDeadlines(server)
	default:
		addr := "127.0.0.1:0"
		if network == "unix" {
			RequireUnix(t)
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
		if server, err = accept(l, client); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// accept returns the other end of client. Another program may dial the port, too, at which somebody else has listened
// before.
func accept(l net.Listener, client net.Conn) (server net.Conn, err error) {
	for {
		server, err = l.Accept()
		if err != nil || l.Addr().Network() != "tcp" || server.RemoteAddr().String() == client.LocalAddr().String() {
			return server, err
		}
		server.Close()
	}
}

// RequireUnix skips the test if the system has no Unix sockets, like Wine and old versions of Windows.
func RequireUnix(t testing.TB) {
	t.Helper()
	const unsupported = syscall.Errno(10047) // WSAEAFNOSUPPORT
	if _, err := net.Dial("unix", "none"); errors.Is(err, unsupported) {
		t.Skipf("the system has no Unix sockets: %v", err)
	}
}

// WithoutDeadlines returns a net.Conn over conn that does not support deadlines, like a channel of an
// SSH connection.
func WithoutDeadlines(conn net.Conn) net.Conn { return tunnel{conn} }

type tunnel struct{ net.Conn }

var errNoDeadline = errors.New("netpair: deadline not supported")

func (tunnel) SetDeadline(time.Time) error      { return errNoDeadline }
func (tunnel) SetReadDeadline(time.Time) error  { return errNoDeadline }
func (tunnel) SetWriteDeadline(time.Time) error { return errNoDeadline }

func (t tunnel) CloseWrite() error {
	if conn, ok := t.Conn.(interface{ CloseWrite() error }); ok {
		return conn.CloseWrite()
	}
	return nil
}
