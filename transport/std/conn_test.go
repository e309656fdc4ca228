package std_test

import (
	stdtls "crypto/tls"
	"errors"
	"flag"
	"io"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport/std"
	"github.com/seed004e8d11/websock/transport/transporttest"
)

var suite = transporttest.Suite{
	Factory:   std.Transport(),
	Networks:  []string{"tcp", "unix", "pipe"},
	BlindPoll: runtime.GOOS == "windows",
	Parallel:  true,
}

func TestTransport(t *testing.T) { suite.Run(t) }

func TestTransportOverTLS(t *testing.T) {
	s := suite
	s.Secure = netpair.SecuredBy(stdtls.VersionTLS13)
	s.Networks = []string{"tcp", "unix"}
	s.Allocates = 4 // by crypto/tls
	s.Run(t)
}

// Nothing is known of what carries them but that it is a net.Conn.
func TestTransportOverTLSOfOthers(t *testing.T) {
	s := suite
	s.Secure = netpair.SecuredByOthers(stdtls.VersionTLS13)
	s.Networks = []string{"tcp", "unix"}
	s.Allocates = 4 // by crypto/tls
	s.BlindPoll = true
	s.Run(t)
}

func TestTransportWithoutDeadlines(t *testing.T) {
	s := suite
	s.Networks = []string{"tunnel"}
	s.Allocates = 100 // for goroutines that can be left alone
	t.Run("ws", s.Run)
	s.Secure = netpair.SecuredBy(stdtls.VersionTLS13)
	t.Run("wss", s.Run)
}

func BenchmarkEcho(b *testing.B) { suite.Benchmark(b) }

func TestMain(m *testing.M) {
	flag.Set("test.parallel", "6") // unless the command line sets it: most tests only wait
	goleak.VerifyTestMain(m)
}

func TestNoBufferIsHeldWhileWaiting(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		client, server := netpair.Sockets(t, network)
		tr := std.New(client, nil)
		if !tr.HasDescriptor() {
			t.Skip("descriptors of sockets aren't read from on this system")
		}
		c := websock.NewConn(tr, websock.Client, websock.Options{})
		server.Write([]byte("\x81\x02Hi\x81\x02Ho"))
		for range 2 {
			if _, _, err := c.RecvMessage(nil); err != nil {
				t.Fatal(err)
			}
		}
		if tr.HoldsBuffer() || tr.HoldsView() {
			t.Error("a buffer is held after the last byte")
		}
		c.RecvTimeout(nil, time.Millisecond)
		if tr.HoldsBuffer() {
			t.Error("a buffer is held after a timeout")
		}
	}
}

func TestPushHonoursADeadlineOnABusyConnection(t *testing.T) {
	client, server := netpair.Sockets(t, "tcp")
	c := websock.NewConn(std.New(client, nil), websock.Client, websock.Options{})
	messages, closed := make(chan string, 1), make(chan error, 1)
	c.SetHandler(websock.Messages(
		func(_ *websock.Conn, _ websock.Opcode, msg []byte) { messages <- string(msg) },
		func(_ *websock.Conn, err error) { closed <- err },
	))
	for range 10 {
		io.WriteString(server, "\x81\x01x")
		<-messages
	}
	time.Sleep(2 * std.RecheckDelay) // it has looked again, and found nothing
	io.WriteString(server, "\x81\x01y")
	if got := <-messages; got != "y" {
		t.Errorf("%q", got)
	}
	io.WriteString(server, "\x81\x01z")
	<-messages
	c.SetRecvDeadline(time.Now().Add(std.RecheckDelay / 10))
	if err := <-closed; !errors.Is(err, websock.ErrTimeout) {
		t.Errorf("%v", err)
	}
}
