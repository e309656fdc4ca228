package std_test

import (
	stdtls "crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport/std"
)

func TestCloseDoesNotWaitForSlowNetConn(t *testing.T) {
	for _, pushed := range []bool{false, true} {
		a, b := net.Pipe()
		defer b.Close()
		conn := &slowCloser{a, make(chan bool, 2), make(chan bool)}
		c := websock.NewConn(std.New(conn, nil), websock.Client, websock.Options{})
		if pushed {
			c.SetHandler(websock.Messages(func(*websock.Conn, websock.Opcode, []byte) {}, nil))
		}
		aborted := make(chan bool)
		go func() {
			c.Abort(nil)
			close(aborted)
		}()
		for _, step := range []<-chan bool{conn.closing, aborted} {
			select {
			case <-step:
			case <-time.After(time.Minute):
				t.Fatal("Abort blocks, or does not close the connection")
			}
		}
		close(conn.release)
	}
}

// The Close of a tls.Conn over such a connection would block until the peer reads the alert.
func TestCloseOfTLSWithoutDeadlines(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	below := deadlineless{near, make(chan struct{})}
	client, _ := netpair.SecuredByOthers(stdtls.VersionTLS13)(t, below, far)
	std.New(client, nil).Close()
	select {
	case <-below.closed:
	case <-time.After(time.Minute):
		t.Fatal("the connection below TLS is still open")
	}
}

// A program may count connections in a net.Conn of its own, below TLS.
func TestCloseClosesTheNetConnBelowTLS(t *testing.T) {
	for name, securedBy := range map[string]func(uint16) func(testing.TB, net.Conn, net.Conn) (net.Conn, net.Conn){
		"by package tls": netpair.SecuredBy,
		"by crypto/tls":  netpair.SecuredByOthers,
		"by package tls, without a descriptor": func(version uint16) func(testing.TB, net.Conn, net.Conn) (net.Conn, net.Conn) {
			return func(t testing.TB, client, server net.Conn) (net.Conn, net.Conn) {
				return netpair.SecuredBy(version)(t, client, struct{ net.Conn }{server})
			}
		},
	} {
		near, far := netpair.Sockets(t, "tcp")
		below := wrapper{near, make(chan struct{})}
		client, _ := securedBy(stdtls.VersionTLS13)(t, below, far)
		std.New(client, nil).Close()
		select {
		case <-below.closed:
		case <-time.After(time.Minute):
			t.Errorf("%s: Close went past it", name)
		}
	}
}

// After a closing handshake the stream must not look truncated to TLS either.
func TestClosingHandshakeEndsWithCloseNotify(t *testing.T) {
	const alert = 21
	for name, securedBy := range map[string]func(uint16) func(testing.TB, net.Conn, net.Conn) (net.Conn, net.Conn){
		"by package tls": netpair.SecuredBy,
		"by crypto/tls":  netpair.SecuredByOthers,
		"by package tls, without a descriptor": func(version uint16) func(testing.TB, net.Conn, net.Conn) (net.Conn, net.Conn) {
			return func(t testing.TB, client, server net.Conn) (net.Conn, net.Conn) {
				return netpair.SecuredBy(version)(t, client, struct{ net.Conn }{server})
			}
		},
	} {
		for _, pushed := range []bool{false, true} {
			a, b := netpair.Sockets(t, "tcp")
			client := &recorder{Conn: a}
			peer, server := securedBy(stdtls.VersionTLS12)(t, client, b) // where alerts have a record type of their own
			transport, err := websock.Attach(std.Transport(), server, nil)
			if err != nil {
				t.Fatal(err)
			}
			c := websock.NewConn(transport, websock.Server, websock.Options{})
			if pushed {
				c.SetHandler(websock.Messages(func(*websock.Conn, websock.Opcode, []byte) {}, nil))
			}
			io.WriteString(peer, "\x88\x82\x00\x00\x00\x00\x03\xe8")
			if !pushed {
				if _, _, err := c.RecvMessage(nil); err == nil {
					t.Error("no end")
				}
				c.Close()
			}
			peer.SetReadDeadline(time.Now().Add(time.Minute))
			if got, err := io.ReadAll(peer); string(got) != "\x88\x02\x03\xe8" || err != nil {
				t.Errorf("%s, pushed %v: %q, %v", name, pushed, got, err)
			}
			last := byte(0)
			for rest := client.read; len(rest) >= 5; {
				last = rest[0]
				rest = rest[min(len(rest), 5+int(rest[3])<<8+int(rest[4])):]
			}
			if last != alert {
				t.Errorf("%s, pushed %v: the last record is of type %d", name, pushed, last)
			}
		}
	}
}

// A write in progress delays the close_notify of a tls.Conn. Neither may wait for the peer for long.
func TestCloseWriteOverForeignTLSDoesNotWaitForPeer(t *testing.T) {
	const most = 3 * time.Second // crypto/tls alone would wait for 5 s each time
	var took time.Duration
	for range 3 { // a busy machine may take longer once
		if took = timeCloseWriteOverForeignTLS(t); took <= most {
			return
		}
	}
	t.Errorf("it took %v", took)
}

// timeCloseWriteOverForeignTLS returns how long CloseWrite takes during a write that waits for the peer.
func timeCloseWriteOverForeignTLS(t *testing.T) time.Duration {
	a, b := netpair.Sockets(t, "unix")
	client, _ := netpair.SecuredByOthers(stdtls.VersionTLS13)(t, a, b)
	transport := std.New(client, nil)
	defer transport.Close()
	written := make(chan error, 1)
	go func() {
		for { // one byte at a time, so that in the end there is no room for a close_notify either
			if err := transport.Writev([]byte("x")); err != nil {
				written <- err
				return
			}
		}
	}()
	time.Sleep(100 * time.Millisecond) // until the write blocks
	begun := time.Now()
	transport.CloseWrite()
	took := time.Since(begun)
	<-written
	return took
}
