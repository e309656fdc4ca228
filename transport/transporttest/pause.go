package transporttest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// pausing returns a connection whose Handler calls Pause for every message, and its peer.
func (s Suite) pausing(t *testing.T, network string) (c *websock.Conn, h *collector, peer io.ReadWriteCloser) {
	a, b := s.sockets(t, network)
	c = s.conn(t, a, websock.Client, websock.Limits{CloseTimeout: patience})
	h = newCollector()
	setHandler(t, c, websock.Messages(func(c *websock.Conn, _ websock.Opcode, msg []byte) {
		c.Pause()
		h.messages <- string(msg)
	}, func(_ *websock.Conn, err error) { h.closed <- err }))
	return c, h, b
}

func (s Suite) testNoDataComesDuringAPause(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		c, h, peer := s.pausing(t, network)
		go io.WriteString(peer, "\x81\x01a\x81\x01b\x81\x01c\x81\x01d\x81\x01e")
		for _, want := range []string{"a", "b", "c", "d", "e"} {
			if got := wait(t, "a message", h.messages); got != want {
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

// Resume may come while the transport still stores the bytes that the Handler has left.
func (s Suite) testShortPausesLoseNothing(t *testing.T) {
	const messages = 20_000
	s.eachNetwork(t, func(t *testing.T, network string) {
		a, b := s.sockets(t, network)
		c := s.conn(t, a, websock.Client, websock.Limits{CloseTimeout: 20 * time.Millisecond})
		closed := make(chan error, 1)
		next := uint32(0)
		setHandler(t, c, websock.Messages(func(c *websock.Conn, _ websock.Opcode, msg []byte) {
			if got := binary.BigEndian.Uint32(msg); got != next {
				c.CloseWith(websock.ClosePolicyViolation, fmt.Sprintf("message %d instead of %d", got, next))
				return
			}
			next++
			c.Pause()
			go c.Resume()
		}, func(_ *websock.Conn, err error) { closed <- err }))
		go func() {
			var batch []byte
			for i := range uint32(messages) {
				batch = append(batch, 0x82, 4)
				if batch = binary.BigEndian.AppendUint32(batch, i); i%7 == 0 {
					b.Write(batch)
					batch = batch[:0]
				}
			}
			b.Write(append(batch, "\x88\x02\x03\xe8"...))
			io.Copy(io.Discard, b)
		}()
		var end *websock.CloseError
		if err := waitWithin(t, 6*patience, "OnClose", closed); !errors.As(err, &end) || end.Local || next != messages {
			t.Errorf("%d messages of %d, %v", next, messages, err)
		}
	})
}

func (s Suite) testTheRecvDeadlineEndsAPause(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		c, h, peer := s.pausing(t, network)
		go io.WriteString(peer, "\x81\x01a\x81\x01b")
		wait(t, "a message", h.messages)
		c.SetRecvDeadline(time.Now().Add(5 * time.Millisecond))
		if err := wait(t, "OnClose", h.closed); !errors.Is(err, websock.ErrTimeout) {
			t.Errorf("%v", err)
		}
	})
}

func (s Suite) testCloseDuringAPauseLosesNothing(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		c, h, peer := s.pausing(t, network)
		go io.WriteString(peer, "\x81\x01a\x81\x01b\x88\x02\x03\xe8")
		wait(t, "a message", h.messages)
		go func() {
			peer.Read(make([]byte, 100)) // the close frame
			peer.Close()
		}()
		c.CloseWith(4001, "")
		c.Resume()
		if got := wait(t, "a message", h.messages); got != "b" {
			t.Errorf("%q", got)
		}
		c.Resume()
		var closed *websock.CloseError
		if err := wait(t, "OnClose", h.closed); !errors.As(err, &closed) || closed.Code != 4001 {
			t.Errorf("%v", err)
		}
	})
}

func (s Suite) testNoDataComesDuringAPauseWhateverEndsIt(t *testing.T) {
	ends := map[string]struct {
		end   func(c *websock.Conn, peer net.Conn)
		noted bool // OnClose comes during the pause
	}{
		"Abort":         {func(c *websock.Conn, _ net.Conn) { c.Abort(nil) }, true},
		"Close":         {func(c *websock.Conn, _ net.Conn) { c.Close() }, true},
		"deadline":      {func(c *websock.Conn, _ net.Conn) { c.SetRecvDeadline(time.Now().Add(5 * time.Millisecond)) }, true},
		"peer's end":    {func(_ *websock.Conn, peer net.Conn) { peer.Close() }, false},
		"peer's reset":  {func(_ *websock.Conn, peer net.Conn) { reset(peer) }, false},
		"Close, Resume": {func(c *websock.Conn, _ net.Conn) { c.Close() }, false},
	}
	for name, test := range ends {
		s.eachNetwork(t, func(t *testing.T, network string) {
			if network != "tcp" && name == "peer's reset" {
				return
			}
			client, server := s.sockets(t, network)
			limits := websock.Limits{CloseTimeout: 20 * time.Millisecond}
			if !test.noted {
				limits.CloseTimeout = patience
			}
			c := s.conn(t, client, websock.Client, limits)
			h := newScript()
			var calls atomic.Int32
			paused := make(chan bool, 1)
			h.data = func(c *websock.Conn, _ string) {
				if calls.Add(1) == 1 {
					c.Pause()
					paused <- true
				}
			}
			setHandler(t, c, h)
			go func() {
				io.WriteString(server, strings.Repeat("\x81\x01a", 5)+"\x88\x02\x03\xe8")
				io.Copy(io.Discard, server)
			}()
			wait(t, "the pause", paused)
			test.end(c, server)
			if test.noted {
				wait(t, name+": OnClose", h.closed)
			}
			time.Sleep(20 * time.Millisecond)
			if n := calls.Load(); n != 1 {
				t.Errorf("%s: %d calls of OnData came during the pause", name, n-1)
			}
			if !test.noted {
				c.Resume()
				wait(t, name+", resumed: OnClose", h.closed)
			}
		})
	}
}
