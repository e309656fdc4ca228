package fanout

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock"
)

// A budget bounds how many bytes wait to be sent on all slots together. What the Group keeps is
// counted as it comes and goes. What waits in connections is counted when something is sent on
// them, and looked up again when the budget seems to be used up, since it leaves without anybody
// being told.
type budget struct {
	most int64 // 0: there is no bound
	full error // what says that it is used up
	used atomic.Int64

	mu     sync.Mutex
	links  map[*link]struct{} // on which something may wait
	counts time.Time          // when these were looked at last
}

// recountPause is how often the links are looked at, at most.
const recountPause = time.Millisecond

func (b *budget) init(most int64) {
	b.most = most
	b.full = fmt.Errorf("fanout: Options.QueueBudget of %d bytes is used up: %w", most, websock.ErrSendQueueFull)
	b.links = map[*link]struct{}{}
}

// take takes n bytes of the budget, or returns an error.
func (b *budget) take(n int) error {
	if b.most == 0 || b.fits(n) {
		return nil
	}
	b.recount()
	if !b.fits(n) {
		return b.full
	}
	return nil
}

func (b *budget) fits(n int) bool {
	if b.used.Add(int64(n)) <= b.most {
		return true
	}
	b.used.Add(-int64(n))
	return false
}

// give gives n bytes back.
func (b *budget) give(n int) {
	if b.most != 0 {
		b.used.Add(-int64(n))
	}
}

// sent replaces the n bytes that were taken for a message by what now waits on its link.
func (b *budget) sent(l *link, n int) {
	if b.most == 0 {
		return
	}
	if b.settle(l, n) > 0 {
		b.mu.Lock()
		b.links[l] = struct{}{}
		b.mu.Unlock()
	}
}

// settle counts what waits on the link, and n bytes less of what was taken.
func (b *budget) settle(l *link, n int) int64 {
	waits := int64(l.conn.Queued())
	b.used.Add(waits - l.charged.Swap(waits) - int64(n))
	return waits
}

// recount looks at the links again.
func (b *budget) recount() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := time.Now(); now.Sub(b.counts) >= recountPause {
		b.counts = now
		for l := range b.links {
			if b.settle(l, 0) == 0 {
				delete(b.links, l)
			}
		}
	}
}

// forget gives back what a link has that has ended.
func (b *budget) forget(l *link) {
	if b.most == 0 || l == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.links, l)
	b.used.Add(-l.charged.Swap(0))
}
