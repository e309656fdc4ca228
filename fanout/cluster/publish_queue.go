package cluster

import (
	"bytes"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
)

// A source is the slot from which messages come.
type source interface {
	Conn() *websock.Conn // nil: it isn't connected
}

// messageCost is what a message that waits counts beside its payload.
const messageCost = 100

// An rxQueue holds messages that are received and not yet published: those of each key in order, and
// the keys in the order in which they got something to publish. Its methods may be called from any
// goroutine, and don't block.
type rxQueue struct {
	options *Publish
	wake    chan struct{} // gets a value when there is something to take, with room for one
	empty   chan struct{} // closed when nothing waits after closing, and no call is being made

	mu      sync.Mutex
	keys    map[string]*rxKey // those of which something waits, or a slot is paused
	ready   fifo[*rxKey]      // those of which something may be taken
	paused  []*rxKey
	full    bool   // more than half of the Buffer was used, and since then not less than a quarter
	number  uint64 // of the last message
	closing bool
	stats   PublishStats
	calls   []func() // to make when the lock is free
	calling int      // that are being made
}

// An rxKey is what waits of a key.
type rxKey struct {
	name      string
	messages  fifo[rxMessage] // the first inFlight of them were taken
	bytes     int64
	inFlight  int
	ready     bool          // it is in rxQueue.ready
	gone      bool          // it is no longer in the queue: what was taken of it is not counted again
	single    uint64        // messages up to this number are taken one at a time
	paused    *websock.Conn // nil: it isn't
	onFlushed []func()
	flushBy   *time.Timer // nil: nobody waits
}

// An rxMessage is a message that was received.
type rxMessage struct {
	number  uint64 // it only grows
	token   uint64
	op      websock.Opcode
	payload []byte
}

func (m *rxMessage) cost() int64 { return int64(len(m.payload)) + messageCost }

// taken is a message that take has returned.
type taken struct {
	key *rxKey
	rxMessage
}

func newRxQueue(o *Publish) *rxQueue {
	return &rxQueue{
		options: o,
		wake:    make(chan struct{}, 1),
		empty:   make(chan struct{}),
		keys:    map[string]*rxKey{},
		stats:   PublishStats{Dropped: map[DropReason]uint64{}},
	}
}

// unlock also makes the calls that are due.
func (q *rxQueue) unlock() {
	calls := q.calls
	q.calls = nil
	q.calling += len(calls)
	q.checkEmptyLocked()
	q.mu.Unlock()
	if len(calls) == 0 {
		return
	}
	for _, call := range calls {
		call()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.calling -= len(calls)
	q.checkEmptyLocked()
}

func (q *rxQueue) checkEmptyLocked() {
	if !q.closing || q.stats.Waiting > 0 || q.calling > 0 {
		return
	}
	select {
	case <-q.empty:
	default:
		close(q.empty)
	}
}

// add puts a copy of a message into the queue, and pauses its source if too much waits.
func (q *rxQueue) add(from source, name string, token uint64, op websock.Opcode, payload []byte) {
	m := rxMessage{token: token, op: op, payload: bytes.Clone(payload)}
	q.mu.Lock()
	defer q.unlock()
	q.stats.Received++
	if q.closing {
		q.dropLocked(name, 1, DropLate)
		return
	}
	k := q.keyLocked(name)
	if q.stats.WaitingBytes+m.cost() > q.options.Buffer {
		q.dropLocked(name, 1, DropFull)
	} else {
		q.number++
		m.number = q.number
		k.messages.push(m)
		k.bytes += m.cost()
		q.stats.WaitingBytes += m.cost()
		q.stats.Waiting++
		q.readyLocked(k)
	}
	q.full = q.full || q.stats.WaitingBytes > q.options.Buffer/2
	if q.full || k.bytes > q.options.Buffer/16 {
		q.pauseLocked(k, from)
	}
	q.forgetLocked(k)
}

// refuse counts a message that isn't put into the queue.
func (q *rxQueue) refuse(name string, why DropReason) {
	q.mu.Lock()
	defer q.unlock()
	q.stats.Received++
	q.dropLocked(name, 1, why)
}

func (q *rxQueue) keyLocked(name string) *rxKey {
	k := q.keys[name]
	if k == nil {
		k = &rxKey{name: name}
		q.keys[name] = k
	}
	return k
}

// forgetLocked removes a key of which there is nothing to know.
func (q *rxQueue) forgetLocked(k *rxKey) {
	if k.messages.len() == 0 && k.paused == nil && !k.gone {
		k.gone = true
		delete(q.keys, k.name)
	}
}

// flushedLocked is called when nothing waits of a key.
func (q *rxQueue) flushedLocked(k *rxKey) {
	q.calls = append(q.calls, k.onFlushed...)
	k.onFlushed = nil
	if k.flushBy != nil {
		k.flushBy.Stop()
		k.flushBy = nil
	}
}

// readyLocked lets a key be taken, if something waits of it and nothing was taken.
func (q *rxQueue) readyLocked(k *rxKey) {
	if k.ready || k.gone || k.inFlight > 0 || k.messages.len() == 0 {
		return
	}
	k.ready = true
	q.ready.push(k)
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *rxQueue) pauseLocked(k *rxKey, from source) {
	if from == nil {
		return
	}
	conn := from.Conn()
	if conn == nil || conn == k.paused && conn.Paused() {
		return
	}
	conn.Pause()
	q.stats.Pauses++
	if k.paused == nil {
		q.paused = append(q.paused, k)
	}
	k.paused = conn
}

// resumeLocked resumes slots, now that less waits, also of a key.
func (q *rxQueue) resumeLocked(k *rxKey) {
	switch {
	case q.full && q.stats.WaitingBytes <= q.options.Buffer/4:
		q.full = false
		q.paused = slices.DeleteFunc(q.paused, q.resumeKeyLocked)
	case !q.full && k.paused != nil && q.resumeKeyLocked(k):
		i := slices.Index(q.paused, k)
		q.paused = slices.Delete(q.paused, i, i+1)
	}
}

// resumeKeyLocked resumes the slot of a key, unless too much waits of that, and reports whether it did.
func (q *rxQueue) resumeKeyLocked(k *rxKey) bool {
	if k.bytes > q.options.Buffer/32 {
		return false
	}
	k.paused.Resume()
	k.paused = nil
	q.forgetLocked(k)
	return true
}

func (q *rxQueue) dropLocked(name string, messages int, why DropReason) {
	q.stats.Dropped[why] += uint64(messages)
	if f := q.options.OnDropped; f != nil {
		q.calls = append(q.calls, func() { f(name, messages, why) })
	}
}

// take appends messages to buf: of at most the given number of keys that are ready, of each up to what
// perKey returns for the number that waits, and of no more keys when they have more than the given number
// of bytes. What was taken has to be settled, or given back. Until then no more is taken of the key.
func (q *rxQueue) take(buf []taken, keys int, bytes int64, perKey func(waiting int) int) []taken {
	q.mu.Lock()
	defer q.unlock()
	for keys > 0 && bytes > 0 && q.ready.len() > 0 {
		k := q.ready.pop()
		k.ready = false
		if k.gone {
			continue
		}
		n := 1
		if k.messages.at(0).number > k.single {
			n = min(perKey(k.messages.len()), k.messages.len())
		}
		for k.inFlight < n && bytes > 0 {
			m := k.messages.at(k.inFlight)
			buf = append(buf, taken{k, *m})
			k.inFlight++
			bytes -= m.cost()
		}
		keys--
	}
	return buf
}

// all is for take: it takes everything that waits of a key.
func all(waiting int) int { return waiting }

// giveBack is called in place of settle for all that was taken of a key: it will be taken again, one
// message at a time.
func (q *rxQueue) giveBack(k *rxKey) {
	q.mu.Lock()
	defer q.unlock()
	if k.gone {
		return
	}
	k.single = k.messages.at(k.inFlight - 1).number
	k.inFlight = 0
	q.readyLocked(k)
}

// waits reports whether what was taken of a key still counts.
func (q *rxQueue) waits(k *rxKey) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !k.gone
}

// settle removes the first message that was taken of a key: it was published, or is dropped.
func (q *rxQueue) settle(k *rxKey, why DropReason) {
	q.mu.Lock()
	defer q.unlock()
	q.settleLocked(k, why)
}

// settleAll is settle for what take has returned, with a reason for each; nil: they were published.
func (q *rxQueue) settleAll(messages []taken, reasons []DropReason) {
	q.mu.Lock()
	defer q.unlock()
	for i := range messages {
		why := notDropped
		if reasons != nil {
			why = reasons[i]
		}
		q.settleLocked(messages[i].key, why)
	}
}

func (q *rxQueue) settleLocked(k *rxKey, why DropReason) {
	if k.gone {
		return
	}
	m := k.messages.pop()
	k.inFlight--
	k.bytes -= m.cost()
	q.stats.WaitingBytes -= m.cost()
	q.stats.Waiting--
	if why == notDropped {
		q.stats.Published++
	} else {
		q.dropLocked(k.name, 1, why)
	}
	if k.messages.len() == 0 {
		q.flushedLocked(k)
	}
	q.readyLocked(k)
	q.resumeLocked(k)
	q.forgetLocked(k)
}

// flushed has f called when nothing waits of a key that has ended, which is after FlushTimeout at the
// latest.
func (q *rxQueue) flushed(name string, f func()) {
	q.mu.Lock()
	defer q.unlock()
	k := q.keys[name]
	if k == nil || k.messages.len() == 0 {
		q.calls = append(q.calls, f)
		return
	}
	k.onFlushed = append(k.onFlushed, f)
	if k.flushBy == nil {
		k.flushBy = time.AfterFunc(q.options.FlushTimeout, func() { q.flushLate(k) })
	}
}

func (q *rxQueue) flushLate(k *rxKey) {
	q.mu.Lock()
	defer q.unlock()
	q.abandonLocked(k, DropLate)
}

// abandonLocked drops what waits of a key.
func (q *rxQueue) abandonLocked(k *rxKey, why DropReason) {
	if k.gone {
		return
	}
	if n := k.messages.len(); n > 0 {
		q.dropLocked(k.name, n, why)
		q.stats.Waiting -= n
		q.stats.WaitingBytes -= k.bytes
	}
	k.messages, k.bytes, k.gone = fifo[rxMessage]{}, 0, true
	delete(q.keys, k.name)
	q.flushedLocked(k)
	q.resumeLocked(k)
}

// abandon drops everything.
func (q *rxQueue) abandon(why DropReason) {
	q.mu.Lock()
	defer q.unlock()
	for _, k := range q.keys {
		q.abandonLocked(k, why)
	}
	q.ready = fifo[*rxKey]{}
}

// close has further messages dropped. empty is closed when nothing waits any more.
func (q *rxQueue) close() {
	q.mu.Lock()
	defer q.unlock()
	q.closing = true
}

func (q *rxQueue) count(change func(*PublishStats)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	change(&q.stats)
}

func (q *rxQueue) snapshot() PublishStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.stats
	s.Dropped = maps.Clone(s.Dropped)
	s.Paused = len(q.paused)
	return s
}

// A fifo is a queue that reuses its memory.
type fifo[T any] struct {
	items []T
	head  int
}

func (f *fifo[T]) len() int { return len(f.items) - f.head }

func (f *fifo[T]) at(i int) *T { return &f.items[f.head+i] }

func (f *fifo[T]) push(v T) {
	if f.head > 0 && len(f.items) == cap(f.items) && f.head >= len(f.items)/2 {
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	f.items = append(f.items, v)
}

func (f *fifo[T]) pop() T {
	var zero T
	v := f.items[f.head]
	f.items[f.head] = zero
	f.head++
	if f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
	}
	return v
}
