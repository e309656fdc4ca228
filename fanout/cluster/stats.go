package cluster

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/machine"
)

// Stats says what this member is doing now, and counts what it has done since Start.
type Stats struct {
	// State is "joining" or "waiting" before the member takes keys, since it has no session yet, or since
	// the others have not yet taken it into account. Then it is "live". While NATS is away for too long,
	// and connections are kept, it is "adrift". It is "cutting" when the session is lost and all
	// connections are being aborted, and after Shutdown "leaving", "erasing" and "left".
	State   string
	Session uint64  // 0: none
	Members int     // that it knows of, itself among them
	Rate    float64 // connections that it may begin to open in a second

	Held    int // partitions that are connected here
	Moving  int // partitions that are coming or going
	Free    int // partitions that no member holds
	Keys    int // that have a slot here
	Untried int // of these: their first attempt has not ended

	Claimed    uint64 // partitions taken that nobody held
	Received   uint64 // partitions that came from another member
	HandedOver uint64 // partitions that went to another member
	Losses     uint64 // sessions that were lost: all connections were aborted
	Ended      uint64 // other members that have left or died

	// Takeover is the time from the moment at which a partition was seen to be free until all of its
	// keys had been tried here.
	Takeover fanout.Histogram

	Renewals RenewalStats

	Publish PublishStats // of messages that were received, if Options.Publish asks for it
	Receive ReceiveStats // of messages that were taken from NATS, if Options.Receive is set
}

// counters is what Stats counts that the member itself doesn't.
type counters struct {
	opened atomic.Uint64 // connections

	mu        sync.Mutex
	ended     uint64
	freeSince map[int]time.Time // partitions that were claimed and are not settled
	takeover  fanout.Histogram
}

func (c *counters) event(e machine.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e.Kind {
	case machine.MemberEnd:
		c.ended++
	case machine.Claimed:
		if c.freeSince == nil {
			c.freeSince = map[int]time.Time{}
		}
		c.freeSince[e.Partition] = time.Now().Add(-e.Took)
	case machine.HandedOver:
		delete(c.freeSince, e.Partition)
	case machine.SessionLost:
		clear(c.freeSince)
	}
}

// settled is called when all keys of a partition have been tried.
func (c *counters) settled(partition int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if since, ok := c.freeSince[partition]; ok {
		delete(c.freeSince, partition)
		c.takeover.Add(time.Since(since))
	}
}

// Stats returns the counts so far. It costs as much as there are partitions.
func (c *Cluster) Stats() Stats {
	status := c.member.Status()
	s := Stats{
		State:      status.State.String(),
		Session:    status.Session,
		Members:    len(status.Members),
		Rate:       status.Rate,
		Claimed:    status.Claims,
		Received:   status.Receives,
		HandedOver: status.HandOvers,
		Losses:     status.Losses,
	}
	for _, p := range status.Partitions {
		switch p.State {
		case machine.Held:
			s.Held++
		case machine.Foreign, machine.Parked:
		default:
			s.Moving++
		}
		if p.Holder == "" {
			s.Free++
		}
	}
	s.Keys, s.Untried = c.holder.keys()
	s.Renewals = c.renewals.snapshot()
	if c.publisher != nil {
		s.Publish = c.publisher.stats()
	}
	if c.receiver != nil {
		s.Receive = c.receiver.stats()
	}
	c.counts.mu.Lock()
	defer c.counts.mu.Unlock()
	s.Ended, s.Takeover = c.counts.ended, c.counts.takeover
	return s
}
