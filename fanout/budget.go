package fanout

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock"
)

// A budget bounds how many bytes wait to be sent on all slots together. What waits in outboxes is
// counted exactly. What waits in connections leaves without notice: it is counted when something is
// sent on a connection, and counted anew when the budget seems to be used up.
type budget struct {
	max     int64 // 0: there is no bound
	errFull error
	used    atomic.Int64

	mu        sync.Mutex
	links     map[*link]struct{} // in which something may wait
	recounted time.Time
}

// recountPause is the time between two recounts, at least.
const recountPause = time.Millisecond

func (b *budget) init(limit int64) {
	b.max = limit
	b.errFull = fmt.Errorf("fanout: Options.QueueBudget of %d bytes is used up: %w", limit, websock.ErrSendQueueFull)
	b.links = map[*link]struct{}{}
}

// reserve takes n bytes of the budget, or returns an error.
func (b *budget) reserve(n int) error {
	if b.max == 0 || b.tryReserve(n) {
		return nil
	}
	b.recount()
	if !b.tryReserve(n) {
		return b.errFull
	}
	return nil
}

func (b *budget) tryReserve(n int) bool {
	if b.used.Add(int64(n)) <= b.max {
		return true
	}
	b.used.Add(-int64(n))
	return false
}

// release gives n bytes back.
func (b *budget) release(n int) {
	if b.max != 0 {
		b.used.Add(-int64(n))
	}
}

// charge replaces the n bytes that were reserved for a message by what now waits in the link.
func (b *budget) charge(l *link, n int) {
	if b.max == 0 {
		return
	}
	if b.update(l, n) > 0 {
		b.mu.Lock()
		b.links[l] = struct{}{}
		b.mu.Unlock()
	}
}

// update counts what waits in the link, and n reserved bytes less. It returns what waits.
func (b *budget) update(l *link, n int) int64 {
	waiting := int64(l.conn.Queued())
	b.used.Add(waiting - l.charged.Swap(waiting) - int64(n))
	return waiting
}

// recount updates all links, if that was not done just now.
func (b *budget) recount() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := time.Now(); now.Sub(b.recounted) >= recountPause {
		b.recounted = now
		for l := range b.links {
			if b.update(l, 0) == 0 {
				delete(b.links, l)
			}
		}
	}
}

// forget releases what waits in a link that has ended. l may be nil.
func (b *budget) forget(l *link) {
	if b.max == 0 || l == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.links, l)
	b.used.Add(-l.charged.Swap(0))
}
