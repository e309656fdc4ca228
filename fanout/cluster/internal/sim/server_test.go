package sim

import (
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
)

// A server is the simulated store: records with revisions in one order, and watches.
type server struct {
	w       *world
	records map[string]record // also deleted ones
	log     []change          // of all, in order
	rev     uint64
	watches []*watch

	writes, conflicts, delivered, deliveredBytes uint64
	renewals, partWrites                         uint64
}

// A change is one of a record, at a time.
type change struct {
	store.Update
	at time.Duration
}

type record struct {
	value   []byte // nil: deleted
	rev     uint64
	written time.Duration
}

func newServer(w *world) *server { return &server{w: w, records: map[string]record{}} }

// A request is what a client asks of the server.
type request struct {
	n      *node
	key    string
	value  []byte // nil: delete
	last   uint64
	create bool
	answer chan answer
}

type answer struct {
	rev uint64
	err error
}

// applyLocked does what a request asks for, and tells the watches.
func (s *server) applyLocked(r request) answer {
	old, known := s.records[r.key]
	switch exists := known && old.value != nil; {
	case r.create && exists, !r.create && (!exists || old.rev != r.last):
		s.conflicts++
		return answer{err: store.ErrConflict}
	}
	s.rev++
	s.writes++
	now := s.w.now()
	s.records[r.key] = record{r.value, s.rev, now}
	s.w.check.wroteLocked(r.n, r.key, r.value, s.rev)
	u := store.Update{Key: r.key, Value: r.value, Revision: s.rev, Deleted: r.value == nil}
	s.log = append(s.log, change{u, now})
	for _, watch := range s.watches {
		watch.enqueueLocked(u)
	}
	return answer{rev: s.rev}
}

// recordsAfterLocked returns the records that there were after so many changes, in the order of
// revisions.
func (s *server) recordsAfterLocked(changes int) (records []store.Update) {
	seen := map[string]bool{}
	for _, c := range slices.Backward(s.log[:changes]) {
		if !seen[c.Key] && !c.Deleted {
			records = append(records, c.Update)
		}
		seen[c.Key] = true
	}
	slices.Reverse(records)
	return records
}

// membersLocked returns how many records of members there are, tombstones too.
func (s *server) membersLocked() (n int) {
	for key, r := range s.records {
		if strings.HasPrefix(key, "member.") && r.value != nil {
			n++
		}
	}
	return n
}

// A client is the store as one member has it. What it asks for takes a time of its own to arrive, and
// so do the answers; both may be lost.
type client struct {
	n      *node
	counts map[string]uint64 // of writes, by key: the fate of each depends on the seed and that
}

// fateLocked returns the source of what befalls the next write of a key.
func (c *client) fateLocked(key string) *rand.Rand {
	c.counts[key]++
	h := fnv.New64a()
	h.Write([]byte(key))
	return rand.New(rand.NewPCG(h.Sum64()^c.n.w.sc.seed, uint64(c.n.number)<<32|c.counts[key]))
}

var (
	errLost = errors.New("sim: the connection to the store is lost")
	errDead = errors.New("sim: the process has ended")
)

func (c *client) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return c.write(ctx, request{n: c.n, key: key, value: value, create: true})
}

func (c *client) Update(ctx context.Context, key string, value []byte, last uint64) (uint64, error) {
	return c.write(ctx, request{n: c.n, key: key, value: value, last: last})
}

func (c *client) Delete(ctx context.Context, key string, last uint64) error {
	_, err := c.write(ctx, request{n: c.n, key: key, last: last})
	return err
}

func (c *client) write(ctx context.Context, r request) (uint64, error) {
	n, w := c.n, c.n.w
	w.mu.Lock()
	if n.dead {
		w.mu.Unlock()
		return 0, errDead
	}
	r.value = slices.Clone(r.value)
	r.answer = make(chan answer, 1)
	fate := c.fateLocked(r.key)
	w.afterLocked(n.latencyLocked(fate), func() { c.arriveLocked(r, fate) })
	w.mu.Unlock()

	select {
	case a := <-r.answer:
		return a.rev, a.err
	case <-ctx.Done():
		n.waitAwake() // a process that is paused doesn't see that the time is up
		return 0, ctx.Err()
	case <-n.killed:
		return 0, errDead
	}
}

// arriveLocked is called when a request comes to where the server would get it.
func (c *client) arriveLocked(r request, fate *rand.Rand) {
	n, w := c.n, c.n.w
	sc := &w.sc
	switch {
	case n.pausedLocked() && fate.Float64() < 0.5: // it was paused before it could send
		n.heldLocked(func() { c.arriveLocked(r, fate) })
		return
	case n.dead && fate.Float64() < 0.5:
		return
	case n.cut && fate.Float64() < 0.5: // TCP sends it again once the network is back
		n.onRestoreLocked(between(fate, 0, sc.lease/4), func() { c.arriveLocked(r, fate) })
		return
	case n.cut, fate.Float64() < w.lossyLocked().requests:
		w.logLocked("%s: write of %s is lost", n, r.key)
		return
	case fate.Float64() < w.lossyLocked().late:
		w.afterLocked(between(fate, 0, 2*sc.lease), func() {
			w.logLocked("%s: late write of %s arrives", n, r.key)
			w.server.applyLocked(r)
		})
		return
	}
	a := w.server.applyLocked(r)
	if w.trace != nil {
		w.logLocked("%s: wrote %s %s last=%d: %d %v", n, r.key, brief(r.value), r.last, a.rev, a.err)
	}
	if fate.Float64() < w.lossyLocked().answers {
		w.logLocked("%s: answer to the write of %s is lost", n, r.key)
		return
	}
	w.afterLocked(n.latencyLocked(fate), func() { c.answerLocked(r, a, fate) })
}

func (c *client) answerLocked(r request, a answer, fate *rand.Rand) {
	switch n := c.n; {
	case n.cut && fate.Float64() < 0.5:
		n.onRestoreLocked(between(fate, 0, n.w.reconnectLocked()), func() { c.answerLocked(r, a, fate) })
	case n.cut:
	case n.pausedLocked():
		n.heldLocked(func() { r.answer <- a })
	default:
		r.answer <- a
	}
}

// A watch delivers changes to one member, each after the latency that it has then, in order.
type watch struct {
	n     *node
	ctx   context.Context // when it ends, so does the watch, a moment later
	ch    chan store.Update
	queue []delivery
	due   bool // an event is there for the first of the queue
	ended bool
	fate  *rand.Rand
}

type delivery struct {
	at      time.Duration
	initial bool // it belongs to the records that there were when the watch began, which are complete
	store.Update
}

func (c *client) Watch(ctx context.Context) (<-chan store.Update, error) {
	n, w := c.n, c.n.w
	w.mu.Lock()
	if n.dead {
		w.mu.Unlock()
		return nil, errDead
	}
	fate := c.fateLocked("")
	begun := make(chan *watch, 1)
	w.afterLocked(n.latencyLocked(fate), func() { c.beginLocked(ctx, begun, fate) })
	w.mu.Unlock()
	select {
	case watch := <-begun:
		if watch == nil {
			return nil, errLost
		}
		// The watch ends when every goroutine has done what it does at this time: which of them comes
		// first is up to the scheduler.
		context.AfterFunc(ctx, func() { w.locked(func() { w.afterLocked(0, watch.endLocked) }) })
		return watch.ch, nil
	case <-ctx.Done():
		n.waitAwake()
		return nil, ctx.Err()
	case <-n.killed:
		return nil, errDead
	}
}

// beginLocked begins a watch at the server.
func (c *client) beginLocked(ctx context.Context, begun chan *watch, fate *rand.Rand) {
	n, w := c.n, c.n.w
	switch {
	case n.dead || ctx.Err() != nil:
		return
	case n.pausedLocked():
		n.heldLocked(func() { c.beginLocked(ctx, begun, fate) })
		return
	case n.cut && fate.Float64() < 0.5:
		n.onRestoreLocked(between(fate, 0, w.reconnectLocked()), func() { c.beginLocked(ctx, begun, fate) })
		return
	case n.cut:
		w.afterLocked(between(fate, 0, w.reconnectLocked()), func() { n.awakeLocked(func() { begun <- nil }) })
		return
	}
	// Members bear watches that begin with a moment in the past, too, although a Store has none.
	s := w.server
	seen := len(s.log)
	if fate.Float64() < w.lossyLocked().past {
		past := w.now() - between(fate, 0, w.sc.lease)
		seen = sort.Search(seen, func(i int) bool { return s.log[i].at > past })
	}
	records := s.recordsAfterLocked(seen)
	watch := &watch{n: n, ctx: ctx, ch: make(chan store.Update, len(records)+1+watchRoom), fate: fate}
	at := w.now() + n.latencyLocked(fate)
	for _, r := range records {
		watch.queue = append(watch.queue, delivery{at, true, r})
	}
	watch.queue = append(watch.queue, delivery{at, true, store.Update{}})
	for _, c := range s.log[seen:] {
		watch.enqueueLocked(c.Update)
	}
	s.watches = append(s.watches, watch)
	n.watches = append(n.watches, watch)
	w.logLocked("%s: watch begins with %d records, %d changes later there are more", n, len(records), len(s.log)-seen)
	begun <- watch
	watch.scheduleLocked()
}

// watchRoom is how many updates fit into the channel of a watch. They are delivered one by one, so
// one would do, if members always read.
const watchRoom = 16

func (t *watch) enqueueLocked(u store.Update) {
	at := t.n.w.now() + t.n.watchLatencyLocked(t.fate)
	if last := len(t.queue); last > 0 {
		at = max(at, t.queue[last-1].at+1)
	}
	t.queue = append(t.queue, delivery{at, false, u})
	t.scheduleLocked()
}

func (t *watch) scheduleLocked() {
	if t.due || t.ended || len(t.queue) == 0 {
		return
	}
	t.due = true
	t.n.w.afterLocked(t.queue[0].at-t.n.w.now(), t.deliverLocked)
}

// deliverLocked delivers what is due: one change, or all records of the beginning.
func (t *watch) deliverLocked() {
	t.due = false
	n, w := t.n, t.n.w
	switch {
	case t.ended || t.ctx.Err() != nil || len(t.queue) == 0:
		return
	case n.cut:
		n.onRestoreLocked(0, t.scheduleLocked)
		return
	case n.pausedLocked():
		n.heldLocked(t.scheduleLocked)
		return
	}
	now := w.now()
	if len(t.ch) > 0 {
		w.failLocked("%s doesn't read its watch", n)
		return
	}
	for len(t.queue) > 0 && t.queue[0].at <= now && len(t.ch) < cap(t.ch) {
		u, initial := t.queue[0].Update, t.queue[0].initial
		t.queue = t.queue[1:]
		if !initial && t.overwrittenLocked(u) {
			continue
		}
		t.ch <- u
		w.server.delivered++
		w.server.deliveredBytes += uint64(len(u.Key) + len(u.Value))
	}
	t.scheduleLocked()
}

// overwrittenLocked reports whether a lagging watch leaves out a change, since the record has been
// overwritten meanwhile. A server that keeps one revision of each key has no other choice.
func (t *watch) overwrittenLocked(u store.Update) bool {
	if !t.n.w.lossyLocked().overwritten {
		return false
	}
	r := t.n.w.server.records[u.Key]
	return r.rev > u.Revision && t.n.w.now()-r.written > t.n.w.sc.latency
}

func (t *watch) endLocked() {
	if t.ended {
		return
	}
	t.ended = true
	t.queue = nil
	close(t.ch)
	s := t.n.w.server
	s.watches = slices.DeleteFunc(s.watches, func(other *watch) bool { return other == t })
	t.n.watches = slices.DeleteFunc(t.n.watches, func(other *watch) bool { return other == t })
	t.n.w.logLocked("%s: watch ends", t.n)
}

// brief returns a record without its report, for the trace.
func brief(value []byte) string {
	if value == nil {
		return "deleted"
	}
	var fields map[string]any
	if json.Unmarshal(value, &fields) != nil {
		return string(value)
	}
	delete(fields, "report")
	short, _ := json.Marshal(fields)
	return strings.ReplaceAll(string(short), `"`, "")
}
