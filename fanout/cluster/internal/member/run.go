package member

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/machine"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
)

// Run joins the cluster and is a member of it, until Leave has finished: then it returns nil. If ctx
// ends, it has the Holder cut all connections and returns ctx's error without leaving: for the others the
// process has died. If the cluster has other settings than this member, it returns a
// *machine.IncompatibleError. Run is called once.
func (m *Member) Run(ctx context.Context) error {
	defer close(m.done)
	ctx, cancel := context.WithCancel(ctx)
	r := &runner{Member: m, ctx: ctx, timer: time.NewTimer(0)}
	err := r.run()
	cancel()
	r.timer.Stop()
	r.goroutines.Wait()
	r.revoke()
	return err
}

// A runner is the goroutine of Run: it alone feeds the machine and calls the Holder.
type runner struct {
	*Member
	ctx        context.Context
	timer      *time.Timer
	goroutines sync.WaitGroup

	updates   <-chan store.Update // of the watch; nil: there is none yet
	stopWatch context.CancelFunc  // ends the watch, or its beginning
	watchID   int                 // of the one that is, or begins
	failures  int                 // watches that have failed since the last one that delivered all records

	writing int     // writes under way, without those of the member's own record
	waiting []write // until writing is less

	opened bool // the machine doesn't know yet what an Open has added to the backlog
	exit   *machine.Exit
}

func (r *runner) run() error {
	r.openWatch()
	for r.exit == nil {
		select {
		case <-r.ctx.Done():
			r.revoke()
			r.o.Holder.Cut()
			return r.ctx.Err()
		case u, ok := <-r.updates:
			r.watched(u, ok)
		case <-r.inbox.wake:
			notices, reported := r.inbox.take()
			for _, n := range notices {
				r.notice(n)
			}
			if reported {
				r.load()
			}
		case <-r.timer.C:
			r.load() // for the record, which is renewed now and then
			r.feed(r.machine.Tick)
		}
		r.setTimer()
	}
	return r.exit.Err
}

func (r *runner) setTimer() {
	r.mu.Lock()
	next := r.machine.Next()
	r.mu.Unlock()
	r.timer.Reset(max(0, min(next-r.clock.Now(), r.tickEvery())))
}

// feed gives the machine an input, and does what comes out.
func (r *runner) feed(input func(now time.Duration) []machine.Action) {
	r.mu.Lock()
	actions := input(r.clock.Now())
	deadline := r.machine.Deadline()
	r.mu.Unlock()
	if r.exit != nil {
		return
	}
	for _, a := range actions {
		if _, cut := a.(machine.Cut); cut {
			r.revoke() // before another session's deadline can be taken for that of the one that was cut
		}
	}
	r.deadline.Store(int64(deadline))
	for _, a := range actions {
		r.do(a)
	}
	if r.opened {
		r.opened = false
		r.load()
	}
}

func (r *runner) load() {
	report, backlog := r.o.Holder.Report()
	r.feed(func(now time.Duration) []machine.Action { return r.machine.Load(now, report, backlog) })
}

// revoke has Holds say of all partitions that they aren't held.
func (m *Member) revoke() {
	for i := range m.tokens {
		m.tokens[i].Store(0)
	}
}

func (r *runner) do(a machine.Action) {
	switch a := a.(type) {
	case machine.Write:
		r.write(write(a))
	case machine.Watch:
		r.openWatch()
	case machine.Open:
		r.tokens[a.Partition].Store(a.Token)
		r.opened = true
		r.o.Holder.Open(a.Partition, a.Token)
	case machine.Drain:
		r.o.Holder.Drain(a.Partition)
	case machine.Cut:
		r.o.Holder.Cut()
	case machine.SetRate:
		r.o.Holder.SetRate(a.Rate)
	case machine.Exit:
		r.exit = &a
	case machine.Event:
		if r.o.Observe != nil {
			r.o.Observe(a)
		}
	}
}

func (r *runner) notice(n notice) {
	switch n.kind {
	case endedNotice:
		r.ended(n.partition)
	case cutDoneNotice:
		r.feed(r.machine.CutDone)
	case settledNotice:
		r.feed(func(now time.Duration) []machine.Action { return r.machine.Settled(now, n.partition) })
	case leaveNotice:
		r.feed(r.machine.Leave)
	case abandonNotice:
		r.feed(r.machine.Abandon)
	case writtenNotice:
		r.written(n.write)
	case watchNotice:
		r.watching(n.watch)
	}
}

// ended has a partition given up before the machine may hand it over.
func (r *runner) ended(partition int) {
	if partition >= 0 && partition < len(r.tokens) {
		r.tokens[partition].Store(0)
	}
	r.feed(func(now time.Duration) []machine.Action { return r.machine.Ended(now, partition) })
}

// An openedWatch is a watch that has begun, or an error.
type openedWatch struct {
	id      int
	updates <-chan store.Update
	err     error
}

// openWatch begins a watch in place of the one that there is, later if the last ones have failed.
func (r *runner) openWatch() {
	if r.stopWatch != nil {
		r.stopWatch()
	}
	ctx, cancel := context.WithCancel(r.ctx)
	r.updates, r.stopWatch = nil, cancel
	r.watchID++
	id, wait, timeout := r.watchID, r.backoff(), r.o.Lease/2
	r.goroutines.Go(func() {
		if !sleep(ctx, wait) {
			return
		}
		giveUp := time.AfterFunc(timeout, cancel)
		updates, err := r.o.Store.Watch(ctx)
		if !giveUp.Stop() && err == nil {
			err = ctx.Err()
		}
		r.inbox.put(notice{kind: watchNotice, watch: openedWatch{id, updates, err}})
	})
}

// backoff returns how long to wait before the next watch.
func (r *runner) backoff() time.Duration {
	if r.failures == 0 {
		return 0
	}
	return min(r.o.Lease/10, r.o.Lease/200<<min(r.failures-1, 10))
}

// sleep waits, and reports whether ctx hasn't ended meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (r *runner) watching(w openedWatch) {
	switch {
	case w.id != r.watchID: // it was given up
	case w.err != nil:
		r.failures++
		r.openWatch()
	default:
		r.updates = w.updates
	}
}

// watched takes what the watch delivers, or its end.
func (r *runner) watched(u store.Update, ok bool) {
	switch {
	case !ok:
		r.failures++
		r.feed(r.machine.WatchLost)
		r.openWatch()
	case u.Key == "":
		r.failures = 0
		r.feed(r.machine.Snapshot)
	default:
		r.feed(func(now time.Duration) []machine.Action { return r.machine.Watched(now, machine.Record(u)) })
	}
}

// A write is to be done.
type write machine.Write

type writeResult struct {
	key      string
	outcome  machine.Outcome
	revision uint64
	own      bool
}

// maxWriting is how many writes are under way at a time.
const maxWriting = 32

// write begins a write, or puts it behind others. The member's own record doesn't wait for them.
func (r *runner) write(w write) {
	own := w.Key == machine.MemberKey(r.o.ID)
	if !own && r.writing == maxWriting {
		r.waiting = append(r.waiting, w)
		return
	}
	if !own {
		r.writing++
	}
	r.goroutines.Go(func() {
		ctx, cancel := context.WithTimeout(r.ctx, r.o.Lease/5)
		defer cancel()
		result := writeResult{key: w.Key, own: own}
		var err error
		switch {
		case w.Value == nil:
			err = r.o.Store.Delete(ctx, w.Key, w.Last)
		case w.Last == 0:
			result.revision, err = r.o.Store.Create(ctx, w.Key, w.Value)
		default:
			result.revision, err = r.o.Store.Update(ctx, w.Key, w.Value, w.Last)
		}
		switch {
		case errors.Is(err, store.ErrConflict):
			result.outcome = machine.Refused
		case err != nil:
			result.outcome = machine.Lost
		}
		r.inbox.put(notice{kind: writtenNotice, write: result})
	})
}

func (r *runner) written(w writeResult) {
	if !w.own {
		r.writing--
	}
	for len(r.waiting) > 0 && r.writing < maxWriting {
		next := r.waiting[0]
		r.waiting = r.waiting[1:]
		r.write(next)
	}
	r.feed(func(now time.Duration) []machine.Action {
		return r.machine.Written(now, w.key, w.outcome, w.revision)
	})
}
