package transporttest

import (
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// descriptors returns how many descriptors the process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("this system doesn't tell:", err)
	}
	return len(all)
}

func (s Suite) testEveryEndFreesTheDescriptor(t *testing.T) {
	inside := func(end func(c *websock.Conn)) *script {
		h := newScript()
		h.data = func(c *websock.Conn, payload string) {
			if payload == "second" {
				end(c)
			}
		}
		return h
	}
	nothing := func(*websock.Conn) {}
	ends := map[string]struct {
		handler *script
		end     func(c *websock.Conn, peer net.Conn)
	}{
		"Abort":           {inside(nothing), func(c *websock.Conn, _ net.Conn) { c.Abort(nil) }},
		"Abort in OnData": {inside(func(c *websock.Conn) { c.Abort(nil) }), nil},
		"Abort in a pause": {inside((*websock.Conn).Pause), func(c *websock.Conn, _ net.Conn) {
			c.Abort(nil)
		}},
		"Close":             {inside(nothing), func(c *websock.Conn, _ net.Conn) { c.Close() }},
		"Close in OnData":   {inside(func(c *websock.Conn) { c.Close() }), nil},
		"Goexit in OnData":  {inside(func(*websock.Conn) { runtime.Goexit() }), nil},
		"Abort, and Goexit": {inside(func(c *websock.Conn) { c.Abort(nil); runtime.Goexit() }), nil},
		"the peer's end":    {inside(nothing), func(_ *websock.Conn, peer net.Conn) { peer.Close() }},
		"the peer's reset":  {inside(nothing), func(_ *websock.Conn, peer net.Conn) { reset(peer) }},
		"the deadline":      {inside(nothing), func(c *websock.Conn, _ net.Conn) { c.SetRecvDeadline(time.Now()) }},
	}
	run := func(t *testing.T, h *script, end func(c *websock.Conn, peer net.Conn)) {
		client, peer := s.sockets(t, "tcp")
		defer below(peer).Close()
		c := websock.NewConn(s.attach(t, client, nil), websock.Client, websock.Options{
			Limits: websock.Limits{CloseTimeout: 20 * time.Millisecond},
		})
		c.SetHandler(h)
		go io.Copy(io.Discard, peer)
		io.WriteString(peer, "\x81\x05first")
		time.Sleep(time.Millisecond)
		io.WriteString(peer, "\x81\x06second")
		time.Sleep(time.Millisecond)
		if end != nil {
			end(c, peer)
		}
		wait(t, "OnClose", h.closed)
	}
	for name, test := range ends {
		run(t, test.handler, test.end) // what the transport opens once
		before := descriptors(t)
		for range 5 {
			run(t, test.handler, test.end)
		}
		for start := time.Now(); descriptors(t) > before; time.Sleep(time.Millisecond) {
			if time.Since(start) > patience {
				t.Errorf("%s: %d descriptors, %d before", name, descriptors(t), before)
				break
			}
		}
	}
}
