package engine

import "sync"

// Stats counts what went over a connection. Payload is counted in bytes without
// headers; Wire with them, as given to and taken from the transport.
type Stats struct {
	MessagesSent, MessagesReceived uint64
	FramesSent, FramesReceived     uint64 // data frames
	PayloadSent, PayloadReceived   uint64 // of data frames
	WireSent, WireReceived         uint64
	Writes                         uint64 // calls of the transport's Writev
	PingsReceived, PongsReceived   uint64
	PongsSent                      uint64
}

// Stats returns the counts so far. It may be called from any goroutine. Counts of
// what is received are those of the time when the receiver last turned to the
// transport.
func (c *Conn) Stats() Stats {
	s := &c.send
	s.mu.Lock()
	stats := s.stats
	s.mu.Unlock()
	c.receive.stats.read(&stats)
	return stats
}

// receiveStats are plain counters of the receiving goroutine, published once per
// read of the transport: counting every frame for all to see would cost more than
// handling it.
type receiveStats struct {
	receiveCounts
	mu        sync.Mutex
	published receiveCounts
}

type receiveCounts struct {
	messages, frames, payload, wire, pings, pongs uint64
}

func (s *receiveStats) count(h *Header, n int) {
	s.payload += uint64(n)
	if h.Remaining == 0 {
		s.frames++
		if h.Fin {
			s.messages++
		}
	}
}

func (s *receiveStats) publish() {
	s.mu.Lock()
	s.published = s.receiveCounts
	s.mu.Unlock()
}

func (s *receiveStats) read(to *Stats) {
	s.mu.Lock()
	p := s.published
	s.mu.Unlock()
	to.MessagesReceived, to.FramesReceived, to.PayloadReceived = p.messages, p.frames, p.payload
	to.WireReceived, to.PingsReceived, to.PongsReceived = p.wire, p.pings, p.pongs
}
