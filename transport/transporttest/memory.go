package transporttest

import (
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/race"
)

// Whatever ends a connection in the middle of a view, the memory of the rest is returned.
func (s Suite) testEveryEndReturnsItsBuffers(t *testing.T) {
	if !race.Enabled {
		t.Skip("buffers are counted under the race detector")
	}
	more := strings.Repeat("\x81\x04more", 2000) // several records of TLS
	for name, test := range map[string]struct {
		sends  string // what the peer sends behind the first message
		inside func(c *websock.Conn)
	}{
		"Abort":             {more, func(c *websock.Conn) { c.Abort(errCause) }},
		"an invalid frame":  {"\x83\x00" + more, func(*websock.Conn) {}},
		"a close frame":     {"\x88\x02\x03\xe8" + more, func(*websock.Conn) {}},
		"Goexit":            {more, func(*websock.Conn) { runtime.Goexit() }},
		"Abort in a pause":  {more, func(c *websock.Conn) { c.Pause(); c.Abort(errCause) }},
		"deadline in pause": {more, func(c *websock.Conn) { c.Pause(); c.SetRecvDeadline(time.Now()) }},
	} {
		s.returnsItsBuffers(t, name+", pushed", func(t *testing.T, c *websock.Conn, peer net.Conn) {
			s.require(t, pusher)
			h := newScript()
			h.data = func(c *websock.Conn, payload string) { test.inside(c) }
			setHandler(t, c, h)
			c.Pause() // so that all of it has arrived when the Handler gets the first message
			io.WriteString(peer, "\x81\x05first"+test.sends)
			c.Resume()
			wait(t, "OnClose", h.closed)
		})
	}
	more = more[:12] // nothing but Recv could return what a transport below TLS has
	for name, sends := range map[string]string{
		"Abort":            more,
		"an invalid frame": "\x83\x00" + more,
		"a close frame":    "\x88\x02\x03\xe8" + more,
	} {
		s.returnsItsBuffers(t, name+", pulled", func(t *testing.T, c *websock.Conn, peer net.Conn) {
			go io.WriteString(peer, "\x81\x05first"+sends)
			_, _, err := c.RecvMessage(nil)
			if name == "Abort" {
				c.Abort(errCause)
			}
			for err == nil {
				_, _, err = c.RecvMessage(nil)
			}
			c.Close()
		})
	}
}

// returnsItsBuffers runs a test that ends a connection, and fails it if a buffer is still lent then.
func (s Suite) returnsItsBuffers(t *testing.T, name string, run func(t *testing.T, c *websock.Conn, peer net.Conn)) {
	lent := buffer.Lent()
	t.Run(name, func(t *testing.T) {
		client, peer := s.sockets(t, "tcp")
		defer peer.Close()
		run(t, s.conn(t, client, websock.Client, websock.Limits{CloseTimeout: 20 * time.Millisecond}), peer)
	})
	for start := time.Now(); buffer.Lent() > lent; time.Sleep(time.Millisecond) {
		if time.Since(start) > patience {
			t.Errorf("%s: %d buffers were not returned", name, buffer.Lent()-lent)
			return
		}
	}
}
