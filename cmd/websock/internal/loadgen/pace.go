package loadgen

import (
	"runtime"
	"slices"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/schedule"
)

// A paced conversation sends messages when they are due, whether or not answers came.
type paced interface {
	conversation

	// send sends the next message, which is late by so much, or returns false if it can't be sent now. It
	// never waits. scratch is a message for it to change.
	send(now, late time.Duration, scratch []byte) bool
}

// A pace sends the messages of a slot when they are due. It goes on while the slot has no connection: what
// is due then is counted, and never sent. It belongs to the goroutine of the scheduler.
type pace struct {
	gen     *LoadGen
	slot    *slot
	beat    schedule.Beat
	next    int64  // number of the message that is sent next
	counted int64  // messages that were counted as due
	tally   *tally // of the slot's connections
	scratch []byte // shared by the paces of a goroutine
}

const (
	// maxTogether bounds how many messages of a connection are sent before those of others have their turn.
	maxTogether = 256

	// retryAfter is when a message is tried again that can't be sent because the server doesn't read.
	retryAfter = 5 * time.Millisecond

	// lastSends is how long messages are sent after the end that were due before it.
	lastSends = 100 * time.Millisecond
)

// startPaces starts to send on all slots if there is a schedule, which begins at a time of now. stop must be
// called. It sends what was due before the end, but not for long, and returns when that was.
func (g *LoadGen) startPaces(begin int64) (stop func() (end int64)) {
	if g.MessageRate == 0 {
		return g.now
	}
	s := startScheduler(func() time.Duration { return time.Duration(g.now()) }, pacers(g.MessageRate*float64(len(g.slots))))
	paces := make([]pace, len(g.slots))
	scratch := make([][]byte, len(s.runners))
	for i := range scratch {
		scratch[i] = slices.Clone(g.Message.Content)
	}
	beat := schedule.NewBeat(time.Duration(begin), g.MessageRate)
	for i := range paces {
		paces[i] = pace{gen: g, slot: &g.slots[i], beat: beat.Spread(i, len(paces)), tally: g.tallyOf(i), scratch: scratch[i%len(scratch)]}
		s.add(i, paces[i].beat.Due(0), &paces[i])
	}
	return func() int64 {
		s.stop()
		end := g.now()
		for i := range paces {
			paces[i].finish(time.Duration(end))
		}
		return end
	}
}

// pacers returns how many goroutines send messages at a rate: few, since each has to be woken up, but as
// many as it takes.
func pacers(rate float64) int {
	const ofEach = 50_000 // messages a second, a third of what one can send
	return int(min(1+rate/ofEach, float64(runtime.GOMAXPROCS(0))))
}

// run sends what is due.
func (p *pace) run(now time.Duration) time.Duration {
	due := p.beat.Count(now)
	c := p.slot.conn.Load()
	if c == nil || c.isClosed() {
		p.giveUp(c, due)
		return p.beat.Due(p.next)
	}
	p.countDue(due)
	if p.sendUpTo(c, now, min(due, p.next+maxTogether)) {
		return p.beat.Due(p.next)
	}
	return now + retryAfter
}

// sendUpTo sends messages up to one with that number. It returns false if they can't be sent now.
func (p *pace) sendUpTo(c *connection, now time.Duration, end int64) bool {
	if end-p.next > 1 && c.Queues() { // elsewhere Flush might wait
		c.Cork()
		defer c.Flush() // onClose follows an error
	}
	sender := c.conversation.(paced)
	for p.next < end {
		if !sender.send(now, now-p.beat.Due(p.next), p.scratch) {
			return false
		}
		p.next++
	}
	return true
}

// countDue counts the messages before one with that number as due.
func (p *pace) countDue(due int64) {
	p.tally.due.Add(due - p.counted)
	p.counted = due
}

// giveUp counts what is due, and was not sent, as unsent. c is the slot's connection. If connections come
// and go, a slot that has none is another process's.
func (p *pace) giveUp(c *connection, due int64) {
	if c == nil && p.gen.Share != nil {
		p.tally.unsent.Add(p.counted - p.next)
		p.counted = due
	} else {
		p.countDue(due)
		p.tally.unsent.Add(due - p.next)
	}
	p.next = due
}

// finish sends what was due before the end, and counts what it can't send.
func (p *pace) finish(end time.Duration) {
	due := max(p.beat.Count(end), p.counted)
	c, now := p.slot.conn.Load(), time.Duration(p.gen.now())
	if c != nil && !c.isClosed() && now < end+lastSends {
		p.countDue(due)
		p.sendUpTo(c, now, min(due, p.next+maxTogether))
	}
	p.giveUp(c, due)
}
