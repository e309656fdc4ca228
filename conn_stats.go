package websock

import "github.com/seed004e8d11/websock/transport"

// Stats counts what was sent and received on a connection. Payload counts bytes without headers,
// Wire bytes with headers, as passed to and from the transport.
type Stats struct {
	MessagesSent, MessagesReceived uint64
	FramesSent, FramesReceived     uint64 // data frames
	PayloadSent, PayloadReceived   uint64 // of data frames, uncompressed
	WireSent, WireReceived         uint64
	Writes                         uint64 // calls of the transport's Writev
	PingsReceived, PongsReceived   uint64
	PongsSent                      uint64
	Pauses                         uint64 // of a Handler, that Resume has ended

	// Payload of compressed messages: before and after compressing what was sent, before and after
	// inflating what was received. The Payload fields above count uncompressed bytes.
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
	s.Pauses += more.Pauses
	s.BeforeDeflate += more.BeforeDeflate
	s.AfterDeflate += more.AfterDeflate
	s.BeforeInflate += more.BeforeInflate
	s.AfterInflate += more.AfterInflate
}

// Stats returns the counts so far. Counts of what was received are updated when the receiver reads
// from the transport and when the connection ends. Stats may be called from any goroutine.
func (c *Conn) Stats() Stats {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	var stats Stats
	if n := c.batch.counts; n != nil {
		stats.MessagesSent, stats.PayloadSent, stats.WireSent, stats.Writes = n.messagesSent, n.payloadSent, n.wireSent, n.writes
		stats.MessagesReceived, stats.PayloadReceived, stats.WireReceived = n.messagesReceived, n.payloadReceived, n.wireReceived
		stats.FramesSent, stats.FramesReceived = n.messagesSent, n.messagesReceived
		if n := n.rare; n != nil {
			stats.FramesSent += n.fragmentsSent
			stats.FramesReceived += n.fragmentsReceived
			stats.PingsReceived, stats.PongsReceived, stats.PongsSent = n.pingsReceived, n.pongsReceived, n.pongsSent
			stats.Pauses = n.pauses
		}
	}
	if z := c.enc.Deflate(); z != nil {
		stats.BeforeDeflate, stats.AfterDeflate = z.Sent()
		stats.BeforeInflate, stats.AfterInflate = z.Received()
	}
	return stats
}

// Outgoing reports how much of what was sent the peer has accepted. taken counts the bytes that
// have left for the peer and, if the transport can tell, that its system has acknowledged; it may
// be negative if TLS adds to them. waiting counts the others: it is 0 if nothing is outstanding.
// While something is waiting, growth of taken is a sign of life, as are bytes that are received. A few
// bytes may have waited only for the peer's system to acknowledge them, which it also does while its
// program hangs.
// Both counts are as exact as the system allows. Outgoing may be called from any goroutine and
// doesn't wait.
func (c *Conn) Outgoing() (taken int64, waiting int) {
	w := &c.batch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.counts != nil {
		taken = int64(w.counts.wireSent)
	}
	waiting = w.queued()
	unsent := w.t.Queued()
	if w.state == writerBusy && w.rareOrZero().inFlight == nil {
		waiting++ // the size of the batch isn't known here
	}
	if q, ok := w.t.(transport.Queue); ok {
		n := q.Unacknowledged()
		unsent, waiting = unsent+n, waiting+n
	}
	return taken - int64(unsent), waiting
}

// Queued returns how many bytes of frames the connection and its transport hold in memory, because
// they wait for the peer or for another write. Bytes in buffers of the system don't count. Queued
// may be called from any goroutine and doesn't wait.
func (c *Conn) Queued() int {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	return c.batch.queued()
}

// WritesBlock reports whether every write of the transport may wait for the peer, so that even
// TrySend may. It is false for the transports of this module.
func (c *Conn) WritesBlock() bool {
	_, ok := c.batch.t.(transport.Queue)
	return !ok
}

// countSent counts a frame that is being sent.
func (n *counts) countSent(op Opcode, fin bool, payload int) {
	if !fin || op > OpBinary {
		n.countRareSent(op, payload)
		return
	}
	n.messagesSent++
	n.payloadSent += uint64(payload)
}

// countRareSent is countSent for a fragment that doesn't end a message, or a control frame.
func (n *counts) countRareSent(op Opcode, payload int) {
	switch {
	case op == OpPong:
		n.ensureRare().pongsSent++
	case op.IsData():
		n.ensureRare().fragmentsSent++
		n.payloadSent += uint64(payload)
	}
}

// recvCounts counts what was received since the last call of publishCounts. Locking the counts of
// the connection for each frame would cost more than handling it.
type recvCounts struct {
	messages, fragments, pings, pongs uint32 // fragments: those that end no message
	payload, wire                     uint64 // one frame can have more than 4 GiB
	deflated, inflated                uint64
}

// addMessage counts an unfragmented message of n bytes.
func (r *recvCounts) addMessage(n int) {
	r.messages++
	r.payload += uint64(n)
}

// addPayload counts n bytes of payload of the data frame h.
func (r *recvCounts) addPayload(h *Header, n int) {
	r.payload += uint64(n)
	switch {
	case h.Remaining > 0:
	case h.Fin:
		r.messages++
	default:
		r.fragments++
	}
}

// addInflated counts compressed payload, and what it was inflated to.
func (r *recvCounts) addInflated(deflated, inflated int) {
	r.deflated += uint64(deflated)
	r.inflated += uint64(inflated)
}

// counts are the counts of Stats. They are allocated when there is something to count. They fill one
// cache line, since fetching a second one takes longer than counting.
type counts struct {
	messagesSent, payloadSent, wireSent, writes     uint64
	messagesReceived, payloadReceived, wireReceived uint64
	rare                                            *rareCounts // nil: all are 0
}

// rareCounts are the counts that most connections don't need.
type rareCounts struct {
	fragmentsSent, fragmentsReceived        uint64 // frames that don't end a message
	pingsReceived, pongsReceived, pongsSent uint64
	pauses                                  uint64
}

// ensureCounts returns the counts and allocates them if necessary.
func (w *batchWriter) ensureCounts() *counts {
	if w.counts == nil {
		w.counts = &counts{}
	}
	return w.counts
}

// ensureRare returns the rare counts and allocates them if necessary.
func (n *counts) ensureRare() *rareCounts {
	if n.rare == nil {
		n.rare = &rareCounts{}
	}
	return n.rare
}

// publishCounts adds what was received to the counts that Stats returns.
func (c *Conn) publishCounts() {
	if c.receive.counts != (recvCounts{}) {
		c.batch.mu.Lock()
		c.publishCountsLocked()
		c.batch.mu.Unlock()
	}
}

// publishCountsLocked is publishCounts.
func (c *Conn) publishCountsLocked() {
	r := &c.receive.counts
	if r.wire == 0 && *r == (recvCounts{}) {
		return
	}
	n := c.batch.ensureCounts()
	n.messagesReceived += uint64(r.messages)
	n.payloadReceived += r.payload
	n.wireReceived += r.wire
	if r.fragments|r.pings|r.pongs != 0 {
		rare := n.ensureRare()
		rare.fragmentsReceived += uint64(r.fragments)
		rare.pingsReceived += uint64(r.pings)
		rare.pongsReceived += uint64(r.pongs)
	}
	if z := c.enc.Deflate(); z != nil {
		z.CountReceived(r.deflated, r.inflated)
	}
	*r = recvCounts{}
}
