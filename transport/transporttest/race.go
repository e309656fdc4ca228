package transporttest

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// A counter is a Handler that counts its calls and notices when two run at a time, or one
// after the end.
type counter struct {
	running, data, closed atomic.Int32
	wrong                 atomic.Pointer[string]
	done                  chan struct{}
}

func (h *counter) begin(method string) (end func()) {
	if h.running.Add(1) != 1 {
		h.complain(method + " is called while another call runs")
	}
	if h.closed.Load() > 0 {
		h.complain(method + " is called after OnClose")
	}
	return func() { h.running.Add(-1) }
}

func (h *counter) complain(what string) { h.wrong.CompareAndSwap(nil, &what) }

func (h *counter) OnData(c *websock.Conn, hdr websock.Header, payload []byte) {
	defer h.begin("OnData")()
	h.data.Add(1)
	if rand.IntN(8) == 0 {
		c.Pause()
		go c.Resume()
	}
	if rand.IntN(4) == 0 {
		c.SendBinary(payload)
	}
}

func (h *counter) OnClose(*websock.Conn, error) {
	defer h.begin("OnClose")()
	h.closed.Add(1)
	close(h.done)
}

// Whatever is called at whatever time by whomever: every connection ends, once, after its last
// data, and its Handler is called by one goroutine at a time.
func (s Suite) testCallsThatRaceEndEveryConnectionOnce(t *testing.T) {
	const conns, callers = 60, 3
	calls := []func(c *websock.Conn, peer net.Conn){
		func(c *websock.Conn, _ net.Conn) { c.Pause() },
		func(c *websock.Conn, _ net.Conn) { c.Resume() },
		func(c *websock.Conn, _ net.Conn) { c.SendBinary(make([]byte, rand.IntN(64<<10))) },
		func(c *websock.Conn, _ net.Conn) { c.SetRecvDeadline(time.Now().Add(time.Hour)) },
		func(c *websock.Conn, _ net.Conn) { c.SetRecvDeadline(time.Time{}) },
		func(c *websock.Conn, _ net.Conn) { c.SetSendDeadline(time.Now().Add(time.Hour)) },
		func(_ *websock.Conn, peer net.Conn) {
			peer.SetReadDeadline(time.Now().Add(time.Millisecond))
			io.CopyN(io.Discard, peer, 1<<10)
		},
		func(c *websock.Conn, peer net.Conn) {
			peer.Write(bytes.Repeat([]byte("\x82\x05hello"), rand.IntN(500)))
		},
		func(c *websock.Conn, peer net.Conn) { peer.Write([]byte("\x89\x00\x8a\x00")) },
	}
	ends := []func(c *websock.Conn, peer net.Conn){
		func(c *websock.Conn, _ net.Conn) { c.Abort(nil) },
		func(c *websock.Conn, _ net.Conn) { c.Close() },
		func(c *websock.Conn, _ net.Conn) { c.SetRecvDeadline(time.Now().Add(-time.Second)) },
		func(c *websock.Conn, _ net.Conn) { c.SetSendDeadline(time.Now().Add(-time.Second)); c.SendText(nil) },
		func(c *websock.Conn, peer net.Conn) { peer.Close(); c.Resume() },
		func(c *websock.Conn, peer net.Conn) { peer.Write([]byte("\x88\x02\x03\xe8")); c.Resume() },
		func(c *websock.Conn, peer net.Conn) { peer.Write([]byte("\xff\xff")); c.Resume() },
	}
	limits := websock.Limits{CloseTimeout: 50 * time.Millisecond}
	var all sync.WaitGroup
	for i := range conns {
		client, peer := s.sockets(t, "tcp")
		all.Go(func() {
			c := s.conn(t, client, websock.Client, limits)
			h := &counter{done: make(chan struct{})}
			peer.SetWriteDeadline(time.Now().Add(5 * patience))
			var racing sync.WaitGroup
			for range callers {
				racing.Go(func() {
					for range rand.IntN(20) {
						calls[rand.IntN(len(calls))](c, peer)
					}
				})
			}
			racing.Go(func() {
				if err := c.SetHandler(h); err != nil {
					h.complain("SetHandler: " + err.Error())
					close(h.done)
				}
			})
			racing.Wait()
			ends[i%len(ends)](c, peer)
			select {
			case <-h.done:
			case <-time.After(patience):
				t.Errorf("end %d: OnClose is not called; paused %v, Err %v", i%len(ends), c.Paused(), c.Err())
			}
			c.Abort(nil)
			if what := h.wrong.Load(); what != nil {
				t.Errorf("end %d: %s", i%len(ends), *what)
			}
		})
	}
	all.Wait()
}
