package transporttest

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport"
)

// A hidden is a net.Conn that a Factory can't know: it has a net.Conn's methods and no more.
type hidden struct{ net.Conn }

// Attach either carries a net.Conn or returns ErrUnsupported and leaves it as it was.
func (s Suite) testAttachLeavesWhatItRefuses(t *testing.T) {
	kinds := map[string]func(t *testing.T) (conn, peer net.Conn){
		"a pipe":        func(t *testing.T) (conn, peer net.Conn) { return netpair.Sockets(t, "pipe") },
		"a TCP socket":  func(t *testing.T) (conn, peer net.Conn) { return netpair.Sockets(t, "tcp") },
		"a Unix socket": func(t *testing.T) (conn, peer net.Conn) { return netpair.Sockets(t, "unix") },
		"a hidden socket": func(t *testing.T) (conn, peer net.Conn) {
			conn, peer = netpair.Sockets(t, "tcp")
			return hidden{conn}, peer
		},
	}
	if s.Over != nil {
		kinds["a stream"] = func(t *testing.T) (conn, peer net.Conn) { return s.sockets(t, s.Networks[0]) }
	}
	for kind, connect := range kinds {
		t.Run(kind, func(t *testing.T) {
			conn, peer := connect(t)
			c, err := s.Factory.Attach(conn, nil)
			if err != nil && !errors.Is(err, transport.ErrUnsupported) {
				t.Fatalf("Attach returned %v, want nil or ErrUnsupported", err)
			}
			write, read := conn.Write, conn.Read
			if err == nil {
				defer c.Close()
				write = func(p []byte) (int, error) { return len(p), c.Writev(p) }
				read = c.Read
			}
			peer.SetDeadline(time.Now().Add(patience))
			for range 2 {
				go peer.Write([]byte("there"))
				buf := make([]byte, 5)
				returns(t, "reading", func() {
					if _, err := io.ReadFull(readerFunc(read), buf); string(buf) != "there" || err != nil {
						t.Errorf("received %q, %v", buf, err)
					}
				})
				go write([]byte("back"))
				if _, err := io.ReadFull(peer, buf[:4]); string(buf[:4]) != "back" || err != nil {
					t.Errorf("the peer received %q, %v", buf[:4], err)
				}
			}
		})
	}
	t.Run("a closed socket", func(t *testing.T) {
		conn, _ := netpair.Sockets(t, "tcp")
		conn.Close()
		c, err := s.Factory.Attach(conn, nil)
		if err != nil {
			return
		}
		defer c.Close()
		returns(t, "View", func() {
			if _, err := c.View(); err == nil {
				t.Error("View returned bytes")
			}
		})
	})
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// What a Reserver has reserved is given back when it is released, whether it was used or not.
func (s Suite) testReservationsAreReleased(t *testing.T) {
	r, ok := s.Factory.(transport.Reserver)
	if !ok {
		t.Skip("the Factory is not a transport.Reserver")
	}
	kinds := map[string]func(conn net.Conn) net.Conn{
		"nothing is attached":       nil,
		"a socket is attached":      func(conn net.Conn) net.Conn { return conn },
		"a hidden conn is attached": func(conn net.Conn) net.Conn { return hidden{conn} },
	}
	for kind, use := range kinds {
		reserve := func() {
			reserved, err := r.Reserve()
			if err != nil {
				t.Fatal(err)
			}
			defer reserved.Release()
			if use == nil {
				return
			}
			client, peer := netpair.Sockets(t, "tcp")
			defer peer.Close()
			c, err := reserved.Attach(use(client), nil)
			if err != nil {
				client.Close()
				return
			}
			c.Close()
		}
		reserve() // what the transport opens once
		before := descriptors(t)
		for range 5 {
			reserve()
		}
		for start := time.Now(); descriptors(t) > before; time.Sleep(time.Millisecond) {
			if time.Since(start) > patience {
				t.Errorf("%s: %d descriptors, %d before", kind, descriptors(t), before)
				break
			}
		}
	}
}
