package std_test

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport/std"
)

// A slow net.Conn closes when it is told to.
type slow struct {
	net.Conn
	closing chan bool // gets a value when Close is called
	release chan bool
}

func (s *slow) Close() error {
	s.closing <- true
	<-s.release
	return s.Conn.Close()
}

func TestCloseDoesNotWaitForAConnectionThatTakesItsTime(t *testing.T) {
	for _, pushed := range []bool{false, true} {
		a, b := net.Pipe()
		defer b.Close()
		conn := &slow{a, make(chan bool, 2), make(chan bool)}
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
			case <-time.After(10 * time.Second):
				t.Fatal("Abort waits, or closes nothing")
			}
		}
		close(conn.release)
	}
}

// plain is a connection on which no deadline can be set, and whose Close is noticed.
type plain struct {
	net.Conn
	closed chan struct{}
}

var errNoDeadline = errors.New("no deadlines here")

func (plain) SetDeadline(time.Time) error      { return errNoDeadline }
func (plain) SetReadDeadline(time.Time) error  { return errNoDeadline }
func (plain) SetWriteDeadline(time.Time) error { return errNoDeadline }
func (p plain) Close() error                   { close(p.closed); return p.Conn.Close() }

// A tls.Conn over such a connection must not be asked to close: it would wait for ever for a peer
// that takes no alert.
func TestCloseOfTLSWithoutDeadlines(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	below := plain{near, make(chan struct{})}
	client, _ := netpair.SecuredByOthers(tls.VersionTLS13)(t, below, far)
	std.New(client, nil).Close()
	select {
	case <-below.closed:
	case <-time.After(10 * time.Second):
		t.Fatal("the connection below TLS stays open")
	}
}
