package std

import (
	"net"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/engine"
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
		c := engine.NewConn(New(conn, nil), engine.Options{Role: engine.Client})
		if pushed {
			c.SetHandler(engine.Messages(func(*engine.Conn, engine.Opcode, []byte) {}, nil))
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
