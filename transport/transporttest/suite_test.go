package transporttest_test

import (
	stdtls "crypto/tls"
	"flag"
	"net"
	"runtime"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/leak"
	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/std"
	"github.com/seed004e8d11/websock/transport/transporttest"
)

func TestMain(m *testing.M) {
	flag.Set("test.parallel", "6") // unless the command line sets it: most tests only wait
	leak.VerifyTestMain(m)
}

// A hiding is a Factory of transports that hide a part of what those of package std implement.
type hiding struct {
	hide func(*std.Conn) transport.Conn
}

func (h hiding) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	return h.hide(std.New(conn, early)), nil
}

func onlyConn(c *std.Conn) transport.Conn { return struct{ transport.Conn }{c} }

func withoutQueue(c *std.Conn) transport.Conn {
	return struct {
		transport.Conn
		transport.Pusher
	}{c, c}
}

func withoutPusher(c *std.Conn) transport.Conn {
	return struct {
		transport.Conn
		transport.Queue
	}{c, c}
}

// The worked transport of docs/own-transport.md.
func TestTheExampleIsATransport(t *testing.T) {
	s := transporttest.Suite{
		Factory:  Factory{},
		Networks: []string{"tcp", "unix"},
		NoPoll:   true, // a net.Conn whose deadline has passed returns nothing
		Parallel: !race.Enabled,
	}
	t.Run("ws", s.Run)
	if race.Enabled {
		return // with TLS it would take minutes
	}
	s.TLS = stdtls.VersionTLS13
	t.Run("wss", s.Run)
}

// A stream is a net.Conn in the place of one of several streams that a connection has.
type stream struct{ net.Conn }

func (s stream) CloseWrite() error { return s.Conn.(interface{ CloseWrite() error }).CloseWrite() }

// streams is a Factory that carries streams only.
type streams struct{}

func (streams) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	s, ok := conn.(stream)
	if !ok {
		return nil, transport.ErrUnsupported
	}
	return websock.Attach(std.Transport(), s.Conn, early)
}

func TestStreamsOverAConnectionPass(t *testing.T) {
	if race.Enabled {
		t.Skip("the tests of package std look for races in the same code, and these would take minutes")
	}
	s := transporttest.Suite{
		Factory:  streams{},
		Networks: []string{"tcp", "unix"},
		Over: func(_ testing.TB, client, server net.Conn) (net.Conn, net.Conn) {
			return stream{client}, stream{server}
		},
		NoPoll:   runtime.GOOS == "windows",
		Parallel: true,
	}
	t.Run("ws", s.Run)
	s.TLS = stdtls.VersionTLS13
	t.Run("wss", s.Run)
}

func TestTransportsWithoutPusherOrQueuePass(t *testing.T) {
	if race.Enabled {
		t.Skip("the tests of package std look for races in the same code, and these would take minutes")
	}
	for name, hide := range map[string]func(*std.Conn) transport.Conn{
		"Conn":         onlyConn,
		"Conn, Pusher": withoutQueue,
		"Conn, Queue":  withoutPusher,
	} {
		s := transporttest.Suite{Factory: hiding{hide}, Networks: []string{"tcp", "pipe"}, Parallel: !race.Enabled}
		t.Run(name, s.Run)
		s.TLS, s.Networks = stdtls.VersionTLS13, []string{"tcp"}
		t.Run(name+", over TLS", s.Run)
	}
}
