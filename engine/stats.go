package engine

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
	c.send.mu.Lock()
	defer c.send.mu.Unlock()
	var stats Stats
	if sent := c.send.sent; sent != nil {
		stats.MessagesSent, stats.FramesSent, stats.PayloadSent = sent.messages, sent.frames, sent.payload
		stats.WireSent, stats.Writes, stats.PongsSent = sent.wire, sent.writes, sent.pongs
	}
	if received := c.send.received; received != nil {
		stats.MessagesReceived, stats.FramesReceived, stats.PayloadReceived = received.messages, received.frames, received.payload
		stats.WireReceived, stats.PingsReceived, stats.PongsReceived = received.wire, received.pings, received.pongs
	}
	if z := c.compression(); z != nil {
		stats.BeforeDeflate, stats.AfterDeflate = z.out.before, z.out.after
		stats.BeforeInflate, stats.AfterInflate = z.in.before, z.in.after
	}
	return stats
}

type sentCounts struct {
	messages, frames, payload, wire, writes, pongs uint64
}

type receivedCounts struct {
	messages, frames, payload, wire, pings, pongs uint64
}

// countsSent returns the counts to add to, which are there once there is something to
// count. The lock is held.
func (s *sendState) countsSent() *sentCounts {
	if s.sent == nil {
		s.sent = &sentCounts{}
	}
	return s.sent
}

// recentCounts are what was received since it was added to the others: counting every frame
// for all to see would cost more than handling it.
type recentCounts struct {
	messages, frames, pings, pongs uint32
	payload, wire                  uint64 // one frame can have more than 32 bits count
	deflated, inflated             uint64
}

func (r *recentCounts) count(h *Header, n int) {
	r.payload += uint64(n)
	if h.Remaining == 0 {
		r.frames++
		if h.Fin {
			r.messages++
		}
	}
}

// countInflated notes that so much compressed payload came, and so much out of it.
func (r *recentCounts) countInflated(deflated, inflated int) {
	r.deflated += uint64(deflated)
	r.inflated += uint64(inflated)
}

// publish adds what was received to the connection's Stats.
func (c *Conn) publish() {
	if c.receive.counts != (recentCounts{}) {
		c.send.mu.Lock()
		c.addCounts()
		c.send.mu.Unlock()
	}
}

// addCounts is publish. The lock is held.
func (c *Conn) addCounts() {
	r, s := &c.receive.counts, &c.send
	if *r == (recentCounts{}) {
		return
	}
	if s.received == nil {
		s.received = &receivedCounts{}
	}
	s.received.messages += uint64(r.messages)
	s.received.frames += uint64(r.frames)
	s.received.payload += r.payload
	s.received.wire += r.wire
	s.received.pings += uint64(r.pings)
	s.received.pongs += uint64(r.pongs)
	if z := c.compression(); z != nil {
		z.in.before += r.deflated
		z.in.after += r.inflated
	}
	*r = recentCounts{}
}
