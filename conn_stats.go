package websock

import "github.com/seed004e8d11/websock/transport"

// Stats counts what went over a connection. Payload is counted in bytes without
// headers; Wire with them, as given to and taken from the transport.
type Stats struct {
	MessagesSent, MessagesReceived uint64
	FramesSent, FramesReceived     uint64 // data frames
	PayloadSent, PayloadReceived   uint64 // of data frames, uncompressed
	WireSent, WireReceived         uint64
	Writes                         uint64 // calls of the transport's Writev
	PingsReceived, PongsReceived   uint64
	PongsSent                      uint64

	// Of the payload of compressed messages: before and after compressing what was sent,
	// before and after inflating what was received. Payload above counts them as the
	// application gives and gets them.
	BeforeDeflate, AfterDeflate uint64
	BeforeInflate, AfterInflate uint64
}

// Add adds the counts of another connection to s.
func (s *Stats) Add(more Stats) {
	s.MessagesSent += more.MessagesSent
	s.MessagesReceived += more.MessagesReceived
	s.FramesSent += more.FramesSent
	s.FramesReceived += more.FramesReceived
	s.PayloadSent += more.PayloadSent
	s.PayloadReceived += more.PayloadReceived
	s.WireSent += more.WireSent
	s.WireReceived += more.WireReceived
	s.Writes += more.Writes
	s.PingsReceived += more.PingsReceived
	s.PongsReceived += more.PongsReceived
	s.PongsSent += more.PongsSent
	s.BeforeDeflate += more.BeforeDeflate
	s.AfterDeflate += more.AfterDeflate
	s.BeforeInflate += more.BeforeInflate
	s.AfterInflate += more.AfterInflate
}

// Stats returns the counts so far. It may be called from any goroutine. Counts of
// what is received are those of the time when the receiver last turned to the
// transport, or the connection ended.
func (c *Conn) Stats() Stats {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	var stats Stats
	if n := c.batch.counts; n != nil {
		stats.MessagesSent, stats.FramesSent, stats.PayloadSent = n.messagesSent, n.framesSent, n.payloadSent
		stats.WireSent, stats.Writes, stats.PongsSent = n.wireSent, n.writes, n.pongsSent
		stats.MessagesReceived, stats.FramesReceived, stats.PayloadReceived = n.messagesReceived, n.framesReceived, n.payloadReceived
		stats.WireReceived, stats.PingsReceived, stats.PongsReceived = n.wireReceived, n.pingsReceived, n.pongsReceived
	}
	if z := c.enc.Deflate(); z != nil {
		stats.BeforeDeflate, stats.AfterDeflate = z.Sent()
		stats.BeforeInflate, stats.AfterInflate = z.Received()
	}
	return stats
}

// connCounts are what Stats returns, but for compression.
type connCounts struct {
	messagesSent, framesSent, payloadSent, wireSent, writes, pongsSent                            uint64
	messagesReceived, framesReceived, payloadReceived, wireReceived, pingsReceived, pongsReceived uint64
}

// ensureCounts returns the counts to add to, which are allocated once there is something to
// count. The lock is held.
func (w *batchWriter) ensureCounts() *connCounts {
	if w.counts == nil {
		w.counts = &connCounts{}
	}
	return w.counts
}

// countSent counts a frame with n bytes of payload that was accepted.
func (w *batchWriter) countSent(op Opcode, fin bool, n int) {
	counts := w.ensureCounts()
	switch {
	case op == OpPong:
		counts.pongsSent++
	case op.IsData():
		counts.framesSent++
		counts.payloadSent += uint64(n)
		if fin {
			counts.messagesSent++
		}
	}
}

// recvCounts are what was received since it was added to the others: counting every frame
// for all to see would cost more than handling it.
type recvCounts struct {
	messages, frames, pings, pongs uint32
	payload, wire                  uint64 // one frame can have more than 32 bits count
	deflated, inflated             uint64
}

func (r *recvCounts) addPayload(h *Header, n int) {
	r.payload += uint64(n)
	if h.Remaining == 0 {
		r.frames++
		if h.Fin {
			r.messages++
		}
	}
}

// addInflated notes that so much compressed payload came, and so much out of it.
func (r *recvCounts) addInflated(deflated, inflated int) {
	r.deflated += uint64(deflated)
	r.inflated += uint64(inflated)
}

// publish adds what was received to the connection's Stats.
func (c *Conn) publishCounts() {
	if c.receive.counts != (recvCounts{}) {
		c.batch.mu.Lock()
		c.publishCountsLocked()
		c.batch.mu.Unlock()
	}
}

// publishCountsLocked is publish. The lock is held.
func (c *Conn) publishCountsLocked() {
	r := &c.receive.counts
	if *r == (recvCounts{}) {
		return
	}
	n := c.batch.ensureCounts()
	n.messagesReceived += uint64(r.messages)
	n.framesReceived += uint64(r.frames)
	n.payloadReceived += r.payload
	n.wireReceived += r.wire
	n.pingsReceived += uint64(r.pings)
	n.pongsReceived += uint64(r.pongs)
	if z := c.enc.Deflate(); z != nil {
		z.CountReceived(r.deflated, r.inflated)
	}
	*r = recvCounts{}
}

func (r *recvCounts) addMessage(n int) {
	r.messages++
	r.frames++
	r.payload += uint64(n)
}

// Outgoing says how far the peer has come with what we send. taken counts bytes that have left
// for the peer and, where the transport knows it, that its system has acknowledged; it
// may be less than 0 where TLS adds to them. waiting counts bytes that have not: it is 0 when the
// peer owes us nothing. That taken grows while something is waiting is a sign of life, as bytes
// that are received are. Both are as exact as the system lets them be. It may be called from any
// goroutine, and doesn't wait.
func (c *Conn) Outgoing() (taken int64, waiting int) {
	w := &c.batch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.counts != nil {
		taken = int64(w.counts.wireSent)
	}
	waiting = w.queued()
	left := w.t.Queued()
	if w.state == writerBusy && w.rareOrZero().inFlight == nil {
		waiting++ // at least
	}
	if q, ok := w.t.(transport.Queue); ok {
		n := q.Unacknowledged()
		left, waiting = left+n, waiting+n
	}
	return taken - int64(left), waiting
}

// Queued returns how many bytes of frames are held in memory because the peer, or another write,
// is waited for: by the connection and its transport, not by the system. It may be called from
// any goroutine, and doesn't wait.
func (c *Conn) Queued() int {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	return c.batch.queued()
}

// WritesBlock reports whether the transport can only write by waiting for the peer, so that even
// TrySend may wait. Those of this module don't.
func (c *Conn) WritesBlock() bool {
	_, ok := c.batch.t.(transport.Queue)
	return !ok
}
