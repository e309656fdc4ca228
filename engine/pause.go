package engine

import "github.com/seed004e8d11/websock/transport"

// Pause tells the transport to leave the Handler alone until Resume: after the OnData
// under way, or at most one more when Pause comes from another goroutine, no other is
// called. What comes meanwhile stays with the system, so that the peer has to wait. So a
// Handler that would block an event loop can go on in a goroutine of its own:
//
//	func (h *handler) OnData(c *engine.Conn, hdr engine.Header, payload []byte) {
//		work := bytes.Clone(payload)
//		c.Pause()
//		go func() {
//			h.slow(work)
//			c.Resume()
//		}()
//	}
//
// While paused, pings aren't answered and the end of the connection isn't noticed, but
// Abort and a receive deadline are: OnClose then comes during the pause, OnData never does.
// Close doesn't end a pause. What has come, and the peer's answer, are received after Resume;
// without one, OnClose comes after Limits.CloseTimeout. Pause may be called from any
// goroutine; without a Handler it does nothing.
func (c *Conn) Pause() {
	c.send.mu.Lock() // so that a Resume meanwhile doesn't get ahead of it
	defer c.send.mu.Unlock()
	if t, ok := c.t.(transport.Pusher); ok && c.send.pushed {
		t.Pause() // first, so that it knows when we leave something
		c.receive.stop.Or(stopPause)
	}
}

// Resume ends what Pause began. It may be called from any goroutine, also when there is
// no pause.
func (c *Conn) Resume() {
	c.send.mu.Lock()
	defer c.send.mu.Unlock()
	if c.receive.stop.And(^uint32(stopPause))&stopPause != 0 {
		c.t.(transport.Pusher).Resume()
	}
}

// Paused reports whether the Handler is to be left alone. It may be called from any
// goroutine.
func (c *Conn) Paused() bool { return c.receive.stop.Load()&stopPause != 0 }

// giveBack leaves what was not handled of the view to the transport.
func (c *Conn) giveBack() {
	r := &c.receive
	if len(r.view) > 0 {
		r.counts.wire -= uint64(len(r.view))
		c.t.Consume(r.viewed - len(r.view))
		r.view, r.viewed = nil, 0
	}
}
