package member

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/machine"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
)

var errAway = errors.New("the store is away")

// A memoryStore is a store.Store in memory, from which a member can be cut off.
type memoryStore struct {
	mu       sync.Mutex
	revision uint64
	records  map[string]store.Update
	watches  map[*memoryWatch]bool
	writes   int
}

// record returns the last change of a record.
func (s *memoryStore) record(key string) store.Update {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records[key]
}

type memoryWatch struct {
	pending []store.Update
	news    chan struct{}
}

func newMemoryStore() *memoryStore {
	return &memoryStore{records: map[string]store.Update{}, watches: map[*memoryWatch]bool{}}
}

func (s *memoryStore) put(key string, value []byte, last uint64, deleted bool) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	old := s.records[key]
	if known := old.Revision; last != known && !(last == 0 && old.Deleted) {
		return 0, store.ErrConflict
	}
	s.revision++
	u := store.Update{Key: key, Value: slices.Clone(value), Revision: s.revision, Deleted: deleted}
	s.records[key] = u
	for w := range s.watches {
		w.add(u)
	}
	return s.revision, nil
}

func (w *memoryWatch) add(u store.Update) {
	w.pending = append(w.pending, u)
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// A link is a member's way to a memoryStore.
type link struct {
	*memoryStore
	away   bool          // guarded by memoryStore.mu
	hang   bool          // away: nothing is answered, instead of refused at once
	lose   bool          // writes are done, and their answers lost
	slow   time.Duration // how long a write takes
	ended  chan struct{}
	opened int // watches, also such as were refused
	now    int // writes that are under way
}

func (l *link) set(change func(*link)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

func (l *link) watched() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.opened
}

func (l *link) underway() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

// begin counts a write until it has an answer, and makes it slow.
func (l *link) begin() (end func()) {
	l.mu.Lock()
	l.now++
	slow := l.slow
	l.mu.Unlock()
	time.Sleep(slow)
	return func() { l.set(func(l *link) { l.now-- }) }
}

func (s *memoryStore) link() *link { return &link{memoryStore: s, ended: make(chan struct{})} }

// cut ends the watches, and lets nothing through until it is called again.
func (l *link) cut(away bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away = away
	if away {
		close(l.ended)
		l.ended = make(chan struct{})
	}
}

func (l *link) reach(ctx context.Context) error {
	l.mu.Lock()
	away, hang := l.away, l.hang
	l.mu.Unlock()
	if away && hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if away {
		return errAway
	}
	return ctx.Err()
}

func (l *link) answer(ctx context.Context, revision uint64, err error) (uint64, error) {
	l.mu.Lock()
	lose := l.lose
	l.mu.Unlock()
	if lose {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return revision, err
}

func (l *link) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return l.Update(ctx, key, value, 0)
}

func (l *link) Update(ctx context.Context, key string, value []byte, last uint64) (uint64, error) {
	defer l.begin()()
	if err := l.reach(ctx); err != nil {
		return 0, err
	}
	revision, err := l.put(key, value, last, false)
	return l.answer(ctx, revision, err)
}

func (l *link) Delete(ctx context.Context, key string, last uint64) error {
	defer l.begin()()
	if err := l.reach(ctx); err != nil {
		return err
	}
	_, err := l.put(key, nil, last, true)
	_, err = l.answer(ctx, 0, err)
	return err
}

func (l *link) Watch(ctx context.Context) (<-chan store.Update, error) {
	l.set(func(l *link) { l.opened++ })
	if err := l.reach(ctx); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &memoryWatch{news: make(chan struct{}, 1)}
	for _, u := range l.records {
		if !u.Deleted {
			w.pending = append(w.pending, u)
		}
	}
	slices.SortFunc(w.pending, func(a, b store.Update) int { return int(a.Revision) - int(b.Revision) })
	w.add(store.Update{})
	l.watches[w] = true
	updates, ended := make(chan store.Update), l.ended
	go func() {
		defer close(updates)
		defer func() {
			l.mu.Lock()
			delete(l.watches, w)
			l.mu.Unlock()
		}()
		for {
			l.mu.Lock()
			pending := w.pending
			w.pending = nil
			l.mu.Unlock()
			for _, u := range pending {
				select {
				case updates <- u:
				case <-ctx.Done():
					return
				case <-ended:
					return
				}
			}
			select {
			case <-w.news:
			case <-ctx.Done():
				return
			case <-ended:
				return
			}
		}
	}()
	return updates, nil
}

// A model is a Holder without connections: it opens, drains and cuts within a time.
type model struct {
	member *Member
	keys   int // of each partition
	takes  time.Duration

	mu     sync.Mutex
	open   map[int]uint64 // partitions, with their tokens
	opens  int
	cuts   int
	rate   float64
	events []machine.Event
}

func newModel() *model { return &model{open: map[int]uint64{}, keys: 1, takes: 20 * time.Millisecond} }

func (h *model) Open(partition int, token uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open[partition] != 0 {
		panic("opened twice")
	}
	h.open[partition] = token
	h.opens++
}

func (h *model) Drain(partition int) {
	time.AfterFunc(h.takes, func() {
		h.mu.Lock()
		delete(h.open, partition)
		h.mu.Unlock()
		h.member.Ended(partition)
	})
}

func (h *model) Cut() {
	h.mu.Lock()
	clear(h.open)
	h.cuts++
	h.mu.Unlock()
	h.member.CutDone()
}

func (h *model) SetRate(rate float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rate = rate
}

func (h *model) Report() (machine.Report, int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return machine.Report{Keys: len(h.open) * h.keys}, 0
}

func (h *model) observe(e machine.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
}

func (h *model) cutTimes() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cuts
}

// token returns that with which a partition is open, 0 if it isn't.
func (h *model) token(partition int) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open[partition]
}

func (h *model) held() (partitions []int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for p := range h.open {
		partitions = append(partitions, p)
	}
	slices.Sort(partitions)
	return partitions
}

// A running is a Member that runs, with its model and its link.
type running struct {
	*Member
	model *model
	link  *link
	kill  context.CancelFunc
	err   chan error // of Run
}

const (
	testPartitions = 64
	testLease      = 10 * time.Second
	testMargin     = testLease / 4
)

// run runs a member with an ID until it has left, is killed, or the test ends.
func run(t *testing.T, s *memoryStore, id string, change func(*Options)) *running {
	t.Helper()
	r := &running{model: newModel(), link: s.link(), err: make(chan error, 1)}
	o := Options{
		Settings: machine.Settings{
			ID: id, Weight: 1, Partitions: testPartitions, Lease: testLease, Margin: testMargin, Rate: 1000,
		},
		Store: r.link, Holder: r.model, Clock: Monotonic(), Observe: r.model.observe,
	}
	if change != nil {
		change(&o)
	}
	r.Member = New(o)
	r.model.member = r.Member
	ctx, kill := context.WithCancel(context.Background())
	r.kill = kill
	go func() { r.err <- r.Run(ctx) }()
	t.Cleanup(func() {
		kill()
		<-r.done
	})
	return r
}
