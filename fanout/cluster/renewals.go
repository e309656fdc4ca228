package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
)

// A renewalCounter is the Store of a member. It counts what becomes of the writes that renew the member's
// own record, and the time that they take.
type renewalCounter struct {
	store.Store
	key string // of the record

	mu    sync.Mutex
	stats RenewalStats
}

// RenewalStats counts the renewals of a member's lease. They begin a fifth of Options.Lease apart, or
// sooner if the member has something to tell.
type RenewalStats struct {
	Done   uint64           // NATS has confirmed them
	Failed uint64           // NATS has refused them, or there was no answer
	Took   fanout.Histogram // of those that were done: the time until the answer
}

// Update writes a record as the Store does.
func (r *renewalCounter) Update(ctx context.Context, key string, value []byte, last uint64) (revision uint64, err error) {
	begin := time.Now()
	revision, err = r.Store.Update(ctx, key, value, last)
	if key == r.key {
		r.count(time.Since(begin), err)
	}
	return revision, err
}

func (r *renewalCounter) count(took time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.stats.Failed++
		return
	}
	r.stats.Done++
	r.stats.Took.Add(took)
}

func (r *renewalCounter) snapshot() RenewalStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}
