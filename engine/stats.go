package engine

import (
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
)

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
	c.send.mu.Lock()
	defer c.send.mu.Unlock()
	if c.send.log == nil {
		return Stats{}
	}
	return c.send.log.Stats
}

// A log is what a connection notes once something happens on it. It is under the lock of
// sending.
type log struct {
	Stats

	ping   *buffer.Buffer // payload of the latest ping not answered yet
	second uint32         // the second in which pongs are counted
	pongs  uint32         // sent in that second

	recvDeadline time.Time // set by SetRecvDeadline
}

// noted returns the log to write to. The lock is held.
func (s *sendState) noted() *log {
	if s.log == nil {
		s.log = &log{}
	}
	return s.log
}

// receiveCounts are what was received since they were published: counting every frame for
// all to see would cost more than handling it.
type receiveCounts struct {
	messages, frames, payload, wire, pings, pongs uint32
}

func (r *receiveCounts) count(h *Header, n int) {
	r.payload += uint32(n)
	if h.Remaining == 0 {
		r.frames++
		if h.Fin {
			r.messages++
		}
	}
}

// publish adds what was received to the connection's Stats.
func (c *Conn) publish() {
	if c.receive.counts == (receiveCounts{}) {
		return
	}
	c.send.mu.Lock()
	c.addCounts()
	c.send.mu.Unlock()
}

// addCounts is publish for who holds the lock.
func (c *Conn) addCounts() {
	r := &c.receive.counts
	if *r == (receiveCounts{}) {
		return
	}
	stats := c.send.noted()
	stats.MessagesReceived += uint64(r.messages)
	stats.FramesReceived += uint64(r.frames)
	stats.PayloadReceived += uint64(r.payload)
	stats.WireReceived += uint64(r.wire)
	stats.PingsReceived += uint64(r.pings)
	stats.PongsReceived += uint64(r.pongs)
	*r = receiveCounts{}
}
