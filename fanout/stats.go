package fanout

import (
	"maps"
	"math/bits"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
)

// Stats counts what a Group has done, since it was started unless it says otherwise.
type Stats struct {
	Waiting, Connecting, Up, Stopped int // slots, now

	Attempts  uint64 // begun
	Connected uint64 // of these: the opening handshake was done
	Ready     uint64 // of these: OnConnect was done, the slot was up

	Failed map[Failure]uint64           // attempts, by reason
	Lost   map[websock.CloseCode]uint64 // connections that were up, by close code; without one 1006

	PingsSent, PingTimeouts uint64

	Broadcasts        uint64
	BroadcastsRefused uint64 // slots passed over because too much waited
	BroadcastsDown    uint64 // slots passed over because they weren't up
	Dropped           uint64 // messages that a slot had kept and that were not sent

	Handshake Histogram // time from the beginning of an attempt to the end of its opening handshake
	RoundTrip Histogram // of pings

	Traffic websock.Stats // of all connections together
}

// counts is what Stats is made of.
type counts struct {
	losing sync.Mutex // held while a connection's traffic moves from its own count to this one

	mu    sync.Mutex
	stats Stats
}

// Stats returns the counts so far. It looks at every slot.
func (g *Group) Stats() Stats {
	c := &g.counts
	c.losing.Lock()
	defer c.losing.Unlock()
	var live websock.Stats
	for i := range g.slots {
		live.Add(g.slots[i].trafficNow())
	}
	c.mu.Lock()
	stats := c.stats
	stats.Failed, stats.Lost = maps.Clone(stats.Failed), maps.Clone(stats.Lost)
	c.mu.Unlock()
	stats.Traffic.Add(live)
	g.mu.Lock()
	defer g.mu.Unlock()
	stats.Waiting, stats.Connecting = g.inState[Waiting], g.inState[Connecting]
	stats.Up, stats.Stopped = g.inState[Up], g.inState[Stopped]
	return stats
}

// trafficNow returns the traffic of the connection, if the slot is up.
func (s *Slot) trafficNow() (traffic websock.Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == Up {
		traffic = s.link.conn.Stats()
	}
	return traffic
}

// count changes the counts.
func (c *counts) count(change func(*Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.stats)
}

func (c *counts) began() { c.count(func(s *Stats) { s.Attempts++ }) }

func (c *counts) connected(after time.Duration) {
	c.count(func(s *Stats) {
		s.Connected++
		s.Handshake.add(after)
	})
}

func (c *counts) ready() { c.count(func(s *Stats) { s.Ready++ }) }

func (c *counts) failed(err error) {
	c.count(func(s *Stats) {
		if s.Failed == nil {
			s.Failed = map[Failure]uint64{}
		}
		s.Failed[FailureOf(err)]++
	})
}

func (c *counts) lost(traffic websock.Stats, err error) {
	c.count(func(s *Stats) {
		if s.Lost == nil {
			s.Lost = map[websock.CloseCode]uint64{}
		}
		s.Lost[codeOf(err)]++
		s.Traffic.Add(traffic)
	})
}

// retire keeps the traffic of a connection that never was a slot's.
func (c *counts) retire(traffic websock.Stats) {
	c.count(func(s *Stats) { s.Traffic.Add(traffic) })
}

func (c *counts) ping()        { c.count(func(s *Stats) { s.PingsSent++ }) }
func (c *counts) pingTimeout() { c.count(func(s *Stats) { s.PingTimeouts++ }) }

func (c *counts) roundTrip(d time.Duration) { c.count(func(s *Stats) { s.RoundTrip.add(d) }) }

func (c *counts) dropped(messages int) { c.count(func(s *Stats) { s.Dropped += uint64(messages) }) }

func (c *counts) broadcast(d *Delivery) {
	c.count(func(s *Stats) {
		s.Broadcasts++
		s.BroadcastsRefused += uint64(d.Refused)
		s.BroadcastsDown += uint64(d.Down)
	})
}

// buckets of a Histogram.
const (
	finest  = 64 * time.Microsecond // bound of the first bucket
	buckets = 22                    // the last but one ends at 67 s
)

// A Histogram counts durations by size.
type Histogram struct {
	Count uint64
	Sum   time.Duration

	// Buckets counts durations up to Bound(i), and above Bound(i-1). The last one has no
	// bound.
	Buckets [buckets]uint64
}

// Bound returns the upper bound of bucket i, of which the last has none: 64 µs doubled i times.
func (*Histogram) Bound(i int) time.Duration { return finest << i }

// Quantile returns a bound that the share q of the durations, 0 to 1, doesn't exceed: twice
// the quantile itself at most. It is 0 when there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank, seen := uint64(q*float64(h.Count)+0.5), uint64(0)
	if h.Count == 0 {
		return 0
	}
	for i, n := range h.Buckets {
		seen += n
		if seen >= max(rank, 1) {
			return h.Bound(i)
		}
	}
	return h.Bound(buckets - 1)
}

// add counts a duration.
func (h *Histogram) add(d time.Duration) {
	d = max(d, 0)
	i := 0
	if d > finest {
		i = bits.Len64(uint64((d - 1) / finest))
	}
	h.Count++
	h.Sum += d
	h.Buckets[min(i, buckets-1)]++
}
