package storetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
)

// ErrAway is what a Memory returns between Disconnect and Reconnect.
var ErrAway = errors.New("storetest: the store is away")

// A Memory is a Store in memory. Its zero value is empty. Its watches deliver every change.
type Memory struct {
	// Intercept, if it isn't nil, is called for each write, in place of it, and may call write: not
	// at all, later, or without passing on its answer. op is "create", "update" or "delete". It is set
	// before the Memory is used.
	Intercept func(ctx context.Context, op, key string, write func() (uint64, error)) (uint64, error)

	mu       sync.Mutex
	revision uint64
	records  map[string]store.Update
	watches  map[*memoryWatch]bool
	away     bool
}

// A memoryWatch has the updates that its reader hasn't received yet.
type memoryWatch struct {
	waiting []store.Update
	changed chan struct{} // has room for one: something waits
	lost    chan struct{} // closed by Disconnect
}

func (w *memoryWatch) push(updates ...store.Update) {
	w.waiting = append(w.waiting, updates...)
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Watch delivers all records, the mark, and changes.
func (m *Memory) Watch(ctx context.Context) (<-chan store.Update, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.away:
		return nil, ErrAway
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	w := &memoryWatch{changed: make(chan struct{}, 1), lost: make(chan struct{})}
	byRevision := func(a, b store.Update) int { return int(a.Revision) - int(b.Revision) }
	w.push(slices.SortedFunc(maps.Values(m.records), byRevision)...)
	w.push(store.Update{})
	if m.watches == nil {
		m.watches = map[*memoryWatch]bool{}
	}
	m.watches[w] = true
	updates := make(chan store.Update)
	go m.deliver(ctx, w, updates)
	return updates, nil
}

func (m *Memory) deliver(ctx context.Context, w *memoryWatch, updates chan<- store.Update) {
	defer func() {
		m.mu.Lock()
		delete(m.watches, w)
		m.mu.Unlock()
		close(updates)
	}()
	for {
		select {
		case <-w.changed:
		case <-w.lost:
			return
		case <-ctx.Done():
			return
		}
		m.mu.Lock()
		waiting := w.waiting
		w.waiting = nil
		m.mu.Unlock()
		for _, u := range waiting {
			u.Value = slices.Clone(u.Value)
			select {
			case updates <- u:
			case <-w.lost:
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

// Disconnect ends all watches. Until Reconnect everything returns ErrAway.
func (m *Memory) Disconnect() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = true
	for w := range m.watches {
		close(w.lost)
	}
	clear(m.watches)
}

// Reconnect is the end of Disconnect. Everything that was written is there.
func (m *Memory) Reconnect() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = false
}

// Create writes a key that doesn't exist, or was deleted.
func (m *Memory) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return m.write(ctx, "create", store.Update{Key: key, Value: value}, func(now store.Update) bool {
		return now.Revision == 0 || now.Deleted
	})
}

// Update writes a key whose revision is last.
func (m *Memory) Update(ctx context.Context, key string, value []byte, last uint64) (uint64, error) {
	return m.write(ctx, "update", store.Update{Key: key, Value: value}, func(now store.Update) bool {
		return now.Revision == last
	})
}

// Delete deletes a key whose revision is last.
func (m *Memory) Delete(ctx context.Context, key string, last uint64) error {
	_, err := m.write(ctx, "delete", store.Update{Key: key, Deleted: true}, func(now store.Update) bool {
		return now.Revision == last
	})
	return err
}

func (m *Memory) write(ctx context.Context, op string, u store.Update, may func(now store.Update) bool) (uint64, error) {
	u.Value = slices.Clone(u.Value)
	write := func() (uint64, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		switch {
		case m.away:
			return 0, ErrAway
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case !may(m.records[u.Key]):
			return 0, store.ErrConflict
		}
		m.revision++
		u := u
		u.Revision = m.revision
		if m.records == nil {
			m.records = map[string]store.Update{}
		}
		m.records[u.Key] = u
		for w := range m.watches {
			w.push(u)
		}
		return u.Revision, nil
	}
	if m.Intercept != nil {
		return m.Intercept(ctx, op, u.Key, write)
	}
	return write()
}
