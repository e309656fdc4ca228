package fanout

import (
	"maps"
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
)

// Stats counts what a Group has done since Start, but for the first six fields and Mux, which say what
// there is now.
type Stats struct {
	Waiting, Connecting, Up, Stopped int // slots in each State; those that were removed don't count
	Ending                           int // slots that were removed and have not ended: see Slot.Context

	Topics        int // that have subscribers
	Subscriptions int // of all slots together

	Attempts  uint64 // begun
	Connected uint64 // of these: the opening handshake has succeeded
	Ready     uint64 // of these: OnConnect has succeeded too, and the slot was up

	Failed map[Failure]uint64           // attempts that failed, by reason
	Lost   map[websock.CloseCode]uint64 // connections that were up and have ended, by close code; without one 1006

	PingsSent    uint64 // or PingMessages in their place; those of a Mux are not counted
	PingTimeouts uint64 // connections aborted because of Options.PingTimeout

	Broadcasts        uint64 // calls of Broadcast and BroadcastTo
	Publishes         uint64 // calls of Publish
	BroadcastsRefused uint64 // deliveries of all of these that were refused: see Delivery.Refused
	BroadcastsDown    uint64 // slots that they passed over since these weren't up: see Delivery.Down
	Dropped           uint64 // messages that a slot had kept and that were not sent

	Handshake Histogram // from the beginning of an attempt to the end of its opening handshake
	RoundTrip Histogram // from a ping to its pong; those of a Mux are not measured

	Traffic websock.Stats // of all connections together

	// Mux sums up the Stats of each Config.Mux of Targets, and of those that connected slots have from
	// SlotOptions, Choose or Prepare: the HTTP/2 connections and their streams, also those that others than
	// this Group use.
	Mux websock.MuxStats
}

// counters is what Stats is made of.
type counters struct {
	// moving is held while the traffic of a connection goes from its own count to stats, so that
	// it is counted once. It is locked before a slot's lock.
	moving sync.Mutex

	mu    sync.Mutex
	stats Stats
}

// Stats returns the counts so far. It visits every slot. The maps and histograms are copies of the
// caller's own.
func (g *Group) Stats() Stats {
	c := &g.counts
	c.moving.Lock()
	defer c.moving.Unlock()
	muxes := g.targetMuxes()
	var live websock.Stats
	for s := range g.members.everyone() {
		traffic, m := s.liveTraffic()
		live.Add(traffic)
		muxes = addMux(muxes, m)
	}
	c.mu.Lock()
	stats := c.stats
	stats.Failed, stats.Lost = maps.Clone(stats.Failed), maps.Clone(stats.Lost)
	c.mu.Unlock()
	stats.Traffic.Add(live)
	stats.Mux = sumOf(muxes)
	stats.Topics, stats.Subscriptions = g.topics.counts()
	g.mu.Lock()
	defer g.mu.Unlock()
	stats.Waiting, stats.Connecting = g.inState[Waiting], g.inState[Connecting]
	stats.Up, stats.Stopped, stats.Ending = g.inState[Up], g.inState[Stopped], g.inState[ending]
	return stats
}

// liveTraffic returns the traffic of the connection, if the slot is up, and its Mux.
func (s *Slot) liveTraffic() (traffic websock.Stats, m *websock.Mux) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == up {
		traffic, m = s.link.conn.Stats(), s.link.mux
	}
	return traffic, m
}

// targetMuxes returns the Muxes of Targets.
func (g *Group) targetMuxes() (muxes []*websock.Mux) {
	for i := range g.options.Targets {
		muxes = addMux(muxes, g.options.Targets[i].Config.Mux)
	}
	return muxes
}

// addMux adds m, unless it is nil or one of muxes.
func addMux(muxes []*websock.Mux, m *websock.Mux) []*websock.Mux {
	if m == nil || slices.Contains(muxes, m) {
		return muxes
	}
	return append(muxes, m)
}

// sumOf sums up the Stats of Muxes.
func sumOf(muxes []*websock.Mux) (sum websock.MuxStats) {
	for _, m := range muxes {
		s := m.Stats()
		sum.Conns += s.Conns
		sum.Streams += s.Streams
		sum.Dialing += s.Dialing
		sum.Waiting += s.Waiting
		sum.Hosts = append(sum.Hosts, s.Hosts...)
	}
	return sum
}

func (c *counters) update(change func(*Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.stats)
}

func (c *counters) attempt() { c.update(func(s *Stats) { s.Attempts++ }) }

func (c *counters) connected(after time.Duration) {
	c.update(func(s *Stats) {
		s.Connected++
		s.Handshake.Add(after)
	})
}

func (c *counters) ready() { c.update(func(s *Stats) { s.Ready++ }) }

func (c *counters) failed(err error) {
	c.update(func(s *Stats) {
		if s.Failed == nil {
			s.Failed = map[Failure]uint64{}
		}
		s.Failed[FailureOf(err)]++
	})
}

func (c *counters) lost(traffic websock.Stats, err error) {
	c.update(func(s *Stats) {
		if s.Lost == nil {
			s.Lost = map[websock.CloseCode]uint64{}
		}
		s.Lost[closeCodeOf(err)]++
		s.Traffic.Add(traffic)
	})
}

// traffic counts that of a connection whose attempt has failed.
func (c *counters) traffic(of websock.Stats) {
	c.update(func(s *Stats) { s.Traffic.Add(of) })
}

func (c *counters) ping()        { c.update(func(s *Stats) { s.PingsSent++ }) }
func (c *counters) pingTimeout() { c.update(func(s *Stats) { s.PingTimeouts++ }) }

func (c *counters) roundTrip(d time.Duration) { c.update(func(s *Stats) { s.RoundTrip.Add(d) }) }

func (c *counters) dropped(messages int) {
	c.update(func(s *Stats) { s.Dropped += uint64(messages) })
}

func (c *counters) broadcast(d *Delivery) {
	c.update(func(s *Stats) {
		s.Broadcasts++
		s.passedOver(d)
	})
}

func (c *counters) publish(d *Delivery) {
	c.update(func(s *Stats) {
		s.Publishes++
		s.passedOver(d)
	})
}

// passedOver counts the slots that a message has passed over.
func (s *Stats) passedOver(d *Delivery) {
	s.BroadcastsRefused += uint64(d.Refused)
	s.BroadcastsDown += uint64(d.Down)
}

const (
	finest  = 64 * time.Microsecond // upper bound of the first bucket of a Histogram
	buckets = 22                    // the last but one ends at 67 s
)

// A Histogram counts durations by size. Its zero value is empty. It is a plain value: copies are
// independent.
type Histogram struct {
	Count uint64        // of all durations
	Sum   time.Duration // likewise

	// Buckets[i] counts durations above Bound(i-1) and up to Bound(i). The last one has no upper
	// bound.
	Buckets [buckets]uint64
}

// Bound returns the upper bound of Buckets[i], which the last one doesn't have: 64 µs doubled i
// times.
func (*Histogram) Bound(i int) time.Duration { return finest << i }

// Quantile returns an upper bound for the share q, 0 to 1, of the durations: Quantile(0.99) for the
// fastest 99 %. It is at most twice the exact quantile, unless that is in the last bucket. An empty
// Histogram returns 0.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.Count == 0 {
		return 0
	}
	rank, seen := uint64(q*float64(h.Count)+0.5), uint64(0)
	for i, n := range h.Buckets {
		seen += n
		if seen >= max(rank, 1) {
			return h.Bound(i)
		}
	}
	return h.Bound(buckets - 1)
}

// Add counts a duration. A negative one counts as 0.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	i := 0
	if d > finest {
		i = bits.Len64(uint64((d - 1) / finest))
	}
	h.Count++
	h.Sum += d
	h.Buckets[min(i, buckets-1)]++
}
