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

// A recorded net.Conn remembers what was read.
type recorded struct {
	net.Conn
	read []byte
}

func (r *recorded) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.read = append(r.read, p[:n]...)
	return n, err
}

// An end that both sides have agreed on is no cut of the stream for TLS either.
func TestAnOrderlyEndIsToldToAPeerOverTLS(t *testing.T) {
	const alert = 21
	for name, securedBy := range map[string]func(uint16) func(testing.TB, net.Conn, net.Conn) (net.Conn, net.Conn){
		"by package tls": netpair.SecuredBy,
		"by others":      netpair.SecuredByOthers,
	} {
		for _, pushed := range []bool{false, true} {
			a, b := netpair.Sockets(t, "tcp")
			client := &recorded{Conn: a}
			peer, server := securedBy(stdtls.VersionTLS12)(t, client, b) // where an alert can be told from data
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
			peer.SetReadDeadline(time.Now().Add(10 * time.Second))
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

// A write under way keeps a tls.Conn from its close_notify. Neither may wait for the peer for long.
func TestCloseWriteOverTLSOfOthersWaitsForNoPeer(t *testing.T) {
	a, b := netpair.Sockets(t, "unix")
	client, _ := netpair.SecuredByOthers(stdtls.VersionTLS13)(t, a, b)
	transport := std.New(client, nil)
	defer transport.Close()
	written := make(chan error, 1)
	go func() {
		for { // so little at a time that there is no room for a close_notify either
			if err := transport.Writev([]byte("x")); err != nil {
				written <- err
				return
			}
		}
	}()
	time.Sleep(100 * time.Millisecond) // the peer takes nothing
	begun := time.Now()
	transport.CloseWrite()
	if took := time.Since(begun); took > 3*time.Second { // crypto/tls alone would wait for 5 s
		t.Errorf("it took %v", took)
	}
	<-written
}
