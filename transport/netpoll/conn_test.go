//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"net"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport/transporttest"
)

// suite allows for what netpoll allocates.
var suite = transporttest.Suite{Factory: Transport(), Networks: []string{"tcp", "unix"}}

// TestMain looks for goroutines left behind. netpoll's pollers stay for the life of the
// process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/cloudwego/netpoll.(*defaultPoll).Wait"))
}

func TestTransport(t *testing.T) { suite.Run(t) }

func BenchmarkEcho(b *testing.B) { suite.Benchmark(b) }

// sockets returns the two ends of a connection over the network given.
func sockets(t testing.TB, network string) (client, server net.Conn) {
	t.Helper()
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
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// attached returns a transport over conn.
func attached(t testing.TB, conn net.Conn, early []byte) *Conn {
	t.Helper()
	carried, err := Transport().Attach(conn, early)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { carried.Close() })
	return carried.(*Conn)
}

func eachNetwork(t *testing.T, f func(t *testing.T, network string)) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) { f(t, network) })
	}
}

// collector is a Handler that counts messages.
type collector struct {
	messages chan string
	closed   chan error
}

func newCollector() *collector {
	return &collector{messages: make(chan string, 1000), closed: make(chan error, 2)}
}

func (h *collector) handler() engine.Handler {
	return engine.Messages(
		func(_ *engine.Conn, _ engine.Opcode, msg []byte) { h.messages <- string(msg) },
		func(_ *engine.Conn, err error) { h.closed <- err },
	)
}
