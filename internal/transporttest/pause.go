package transporttest

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/engine"
)

// pausing returns a connection that pauses after every message, and its peer.
func (s Suite) pausing(t *testing.T, network string) (c *engine.Conn, h *collector, peer io.Writer) {
	a, b := s.sockets(t, network)
	c = s.conn(t, a, engine.Client, engine.Limits{CloseTimeout: 20 * time.Millisecond})
	h = newCollector()
	c.SetHandler(engine.Messages(func(c *engine.Conn, _ engine.Opcode, msg []byte) {
		c.Pause()
		h.messages <- string(msg)
	}, func(_ *engine.Conn, err error) { h.closed <- err }))
	return c, h, b
}

func (s Suite) testPauseLeavesTheHandlerAlone(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		c, h, peer := s.pausing(t, network)
		go io.WriteString(peer, "\x81\x01a\x81\x01b\x81\x01c\x81\x01d\x81\x01e")
		for _, want := range []string{"a", "b", "c", "d", "e"} {
			if got := <-h.messages; got != want {
				t.Fatalf("%q, want %q", got, want)
			}
			select {
			case got := <-h.messages:
				t.Fatalf("%q came during the pause", got)
			case <-time.After(2 * time.Millisecond):
			}
			c.Resume()
		}
	})
}

func (s Suite) testPauseHonoursTheRecvDeadline(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		c, h, peer := s.pausing(t, network)
		go io.WriteString(peer, "\x81\x01a\x81\x01b")
		<-h.messages
		c.SetRecvDeadline(time.Now().Add(5 * time.Millisecond))
		if err := <-h.closed; !errors.Is(err, engine.ErrTimeout) {
			t.Errorf("%v", err)
		}
	})
}

func (s Suite) testCloseEndsAPause(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		c, h, peer := s.pausing(t, network)
		go io.WriteString(peer, "\x81\x01a\x81\x01b\x88\x02\x03\xe8")
		go io.Copy(io.Discard, peer.(io.Reader))
		<-h.messages
		c.CloseWith(4001, "")
		c.Resume()
		if got := <-h.messages; got != "b" {
			t.Errorf("%q", got)
		}
		c.Resume()
		var closed *engine.CloseError
		if err := <-h.closed; !errors.As(err, &closed) || closed.Code != 4001 {
			t.Errorf("%v", err)
		}
	})
}
