package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
)

// patience is how long the suite waits for what should come at once.
const patience = 30 * time.Second

// Run runs the tests that every Store passes. open returns two members' Stores of one set of records,
// which is empty.
func Run(t *testing.T, open func(t *testing.T) (a, b store.Store)) {
	for name, test := range map[string]func(*testing.T, context.Context, store.Store, store.Store){
		"WritesHaveGrowingRevisions":       writesHaveGrowingRevisions,
		"WritesOfOldRevisionsAreConflicts": writesOfOldRevisionsAreConflicts,
		"DeletedKeysAreCreatedAgain":       deletedKeysAreCreatedAgain,
		"OneOfManyCreates":                 oneOfManyCreates,
		"AWatchBeginsWithAllRecords":       aWatchBeginsWithAllRecords,
		"AWatchShowsChangesAndDeletions":   aWatchShowsChangesAndDeletions,
		"AWatchEndsWithItsContext":         aWatchEndsWithItsContext,
		"AWatchIsInOrder":                  aWatchIsInOrder,
		"TheMarkComesAfterAllRecords":      theMarkComesAfterAllRecords,
		"SlowReadersHoldUpNobody":          slowReadersHoldUpNobody,
		"WritesEndWithTheirContext":        writesEndWithTheirContext,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 20*patience) // thousands of writes, by three servers
			defer cancel()
			a, b := open(t)
			test(t, ctx, a, b)
		})
	}
}

func create(t *testing.T, ctx context.Context, s store.Store, key, value string) uint64 {
	t.Helper()
	revision, err := s.Create(ctx, key, []byte(value))
	if err != nil {
		t.Fatalf("create %s: %v", key, err)
	}
	return revision
}

func update(t *testing.T, ctx context.Context, s store.Store, key, value string, last uint64) uint64 {
	t.Helper()
	revision, err := s.Update(ctx, key, []byte(value), last)
	if err != nil {
		t.Fatalf("update %s: %v", key, err)
	}
	return revision
}

func remove(t *testing.T, ctx context.Context, s store.Store, key string, last uint64) {
	t.Helper()
	if err := s.Delete(ctx, key, last); err != nil {
		t.Fatalf("delete %s: %v", key, err)
	}
}

func wantConflict(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, store.ErrConflict) {
		t.Errorf("%s: %v, want a conflict", what, err)
	}
}

func watch(t *testing.T, ctx context.Context, s store.Store) <-chan store.Update {
	t.Helper()
	updates, err := s.Watch(ctx)
	if err != nil {
		t.Fatal("watch:", err)
	}
	return updates
}

// Next returns the next update of a watch. It fails the test if the watch ends, or nothing comes.
func Next(t *testing.T, updates <-chan store.Update) store.Update {
	t.Helper()
	select {
	case u, ok := <-updates:
		if !ok {
			t.Fatal("the watch has ended")
		}
		return u
	case <-time.After(patience):
		t.Fatal("nothing comes from the watch")
	}
	panic("unreachable")
}

// Records reads a watch to the mark, and returns the records that there were: without deleted ones.
func Records(t *testing.T, updates <-chan store.Update) map[string]store.Update {
	t.Helper()
	records := map[string]store.Update{}
	for {
		switch u := Next(t, updates); {
		case u.Key == "":
			return records
		case u.Deleted:
			delete(records, u.Key)
		default:
			records[u.Key] = u
		}
	}
}

// Written reads a watch to the mark, and returns the revision at which a key has a value. It is not found if the
// watch ends before.
func Written(updates <-chan store.Update, key, value string) (revision uint64, found bool) {
	for u := range updates {
		switch {
		case u.Key == key && string(u.Value) == value:
			return u.Revision, true
		case u.Key == "":
			return 0, false
		}
	}
	return 0, false
}

// Ends reads a watch to its end, for which it waits.
func Ends(t *testing.T, updates <-chan store.Update) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case _, ok := <-updates:
			if !ok {
				return
			}
		case <-deadline:
			t.Fatal("the watch goes on")
		}
	}
}

func writesHaveGrowingRevisions(t *testing.T, ctx context.Context, a, b store.Store) {
	revisions := []uint64{
		create(t, ctx, a, "member.x", "1"),
		create(t, ctx, b, "part.1", "1"),
	}
	revisions = append(revisions, update(t, ctx, b, "member.x", "2", revisions[0]))
	revisions = append(revisions, update(t, ctx, a, "part.1", "2", revisions[1]))
	remove(t, ctx, a, "member.x", revisions[2])
	revisions = append(revisions, create(t, ctx, b, "member.x", "3"))
	if revisions[0] == 0 || !slices.IsSorted(revisions) || len(slices.Compact(slices.Clone(revisions))) != len(revisions) {
		t.Errorf("revisions %d, want growing ones", revisions)
	}
}

func writesOfOldRevisionsAreConflicts(t *testing.T, ctx context.Context, a, b store.Store) {
	old := create(t, ctx, a, "k", "1")
	_, err := b.Create(ctx, "k", []byte("2"))
	wantConflict(t, "create what exists", err)
	now := update(t, ctx, b, "k", "3", old)
	_, err = a.Update(ctx, "k", []byte("4"), old)
	wantConflict(t, "update an old revision", err)
	wantConflict(t, "delete an old revision", a.Delete(ctx, "k", old))
	remove(t, ctx, b, "k", now)
	_, err = a.Update(ctx, "k", []byte("5"), now)
	wantConflict(t, "update what was deleted", err)
	wantConflict(t, "delete what was deleted", a.Delete(ctx, "k", now))
	_, err = a.Update(ctx, "never", []byte("6"), now)
	wantConflict(t, "update what never was", err)
	wantConflict(t, "delete what never was", a.Delete(ctx, "never", now))
	if records := Records(t, watch(t, ctx, a)); len(records) != 0 {
		t.Errorf("left: %v", records)
	}
}

func deletedKeysAreCreatedAgain(t *testing.T, ctx context.Context, a, b store.Store) {
	for i := range 5 {
		value := fmt.Sprint(i)
		revision := create(t, ctx, a, "k", value)
		got := Records(t, watch(t, ctx, b))["k"]
		if string(got.Value) != value || got.Revision != revision {
			t.Errorf("got %q with revision %d, want %q with %d", got.Value, got.Revision, value, revision)
		}
		remove(t, ctx, b, "k", revision)
	}
}

func oneOfManyCreates(t *testing.T, ctx context.Context, a, b store.Store) {
	const writers = 8
	errs := make(chan error, writers)
	for i := range writers {
		s := a
		if i%2 == 1 {
			s = b
		}
		go func() {
			_, err := s.Create(ctx, "k", []byte(fmt.Sprint(i)))
			errs <- err
		}()
	}
	created := 0
	for range writers {
		if err := <-errs; err == nil {
			created++
		} else {
			wantConflict(t, "create", err)
		}
	}
	if created != 1 {
		t.Errorf("%d writers created the key, want 1", created)
	}
}

func aWatchBeginsWithAllRecords(t *testing.T, ctx context.Context, a, b store.Store) {
	if records := Records(t, watch(t, ctx, a)); len(records) != 0 {
		t.Errorf("an empty store has %v", records)
	}
	want := map[string]uint64{}
	for i := range 300 {
		key := fmt.Sprint("part.", i)
		want[key] = create(t, ctx, a, key, key)
	}
	remove(t, ctx, a, "part.0", want["part.0"])
	delete(want, "part.0")
	want["part.7"] = update(t, ctx, a, "part.7", "part.7", want["part.7"])
	got := Records(t, watch(t, ctx, b))
	if len(got) != len(want) {
		t.Errorf("%d records, want %d", len(got), len(want))
	}
	for key, revision := range want {
		if u := got[key]; u.Revision != revision || string(u.Value) != key {
			t.Errorf("%s: %q with revision %d, want revision %d", key, u.Value, u.Revision, revision)
		}
	}
}

func aWatchShowsChangesAndDeletions(t *testing.T, ctx context.Context, a, b store.Store) {
	updates := watch(t, ctx, b)
	Records(t, updates)
	want := func(want store.Update) store.Update {
		t.Helper()
		got := Next(t, updates)
		if want.Revision == 0 {
			want.Revision = got.Revision
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || want.Deleted && got.Value != nil {
			t.Errorf("got %+v, want %+v", got, want)
		}
		return got
	}
	r := create(t, ctx, a, "k", "1")
	want(store.Update{Key: "k", Value: []byte("1"), Revision: r})
	r = update(t, ctx, a, "k", "2", r)
	want(store.Update{Key: "k", Value: []byte("2"), Revision: r})
	remove(t, ctx, a, "k", r)
	if deleted := want(store.Update{Key: "k", Deleted: true}); deleted.Revision <= r {
		t.Errorf("the deletion has revision %d, after %d", deleted.Revision, r)
	}
	r = create(t, ctx, a, "k", "")
	want(store.Update{Key: "k", Revision: r})
}

func aWatchEndsWithItsContext(t *testing.T, ctx context.Context, a, _ store.Store) {
	watched, cancel := context.WithCancel(ctx)
	updates := watch(t, watched, a)
	Records(t, updates)
	cancel()
	Ends(t, updates)
	if _, err := a.Watch(watched); err == nil {
		t.Error("a watch began with a context that has ended")
	}
}

// set writes a key until no other writer was in between.
func set(ctx context.Context, s store.Store, key, value string, last uint64) (uint64, error) {
	if last == 0 {
		return s.Create(ctx, key, []byte(value))
	}
	return s.Update(ctx, key, []byte(value), last)
}

func aWatchIsInOrder(t *testing.T, ctx context.Context, a, b store.Store) {
	const writers, writes = 8, 50
	updates := watch(t, ctx, a)
	var wg sync.WaitGroup
	final := make([]uint64, writers)
	for i := range writers {
		s := a
		if i%2 == 1 {
			s = b
		}
		wg.Go(func() {
			for n := range writes {
				revision, err := set(ctx, s, fmt.Sprint("k", i), fmt.Sprint(n), final[i])
				if err != nil || revision <= final[i] {
					t.Errorf("write %d of k%d: revision %d after %d, %v", n, i, revision, final[i], err)
					return
				}
				final[i] = revision
			}
		})
	}
	last, done := uint64(0), 0
	for done < writers {
		u := Next(t, updates)
		if u.Key == "" {
			continue
		}
		if u.Revision <= last {
			t.Fatalf("revision %d after %d", u.Revision, last)
		}
		last = u.Revision
		if string(u.Value) == fmt.Sprint(writes-1) {
			done++
		}
	}
	wg.Wait()
	if want := slices.Max(final); last != want {
		t.Errorf("the last revision is %d, want %d", last, want)
	}
}

// Records are written all the time while watches begin: none may be missing before the mark.
func theMarkComesAfterAllRecords(t *testing.T, ctx context.Context, a, b store.Store) {
	const keys, watches = 100, 20
	revisions := make([]uint64, keys)
	for i := range keys {
		revisions[i] = create(t, ctx, a, fmt.Sprint("k", i), "")
	}
	writing, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for writer := range 2 {
		wg.Go(func() {
			for i := writer; writing.Err() == nil; i = (i + 2) % keys {
				revision, err := a.Update(ctx, fmt.Sprint("k", i), nil, revisions[i])
				if err != nil {
					t.Errorf("update k%d: %v", i, err)
					return
				}
				revisions[i] = revision
			}
		})
	}
	for range watches {
		watched, cancel := context.WithCancel(ctx)
		if got := Records(t, watch(t, watched, b)); len(got) != keys {
			t.Errorf("%d records before the mark, want %d", len(got), keys)
		}
		cancel()
	}
	stop()
	wg.Wait()
}

func slowReadersHoldUpNobody(t *testing.T, ctx context.Context, a, b store.Store) {
	slow := watch(t, ctx, a)
	fast := watch(t, ctx, a)
	Records(t, fast)
	const keys = 2000
	for i := range keys {
		key := fmt.Sprint("k", i)
		create(t, ctx, b, key, key)
		if u := Next(t, fast); u.Key != key {
			t.Fatalf("got %s, want %s", u.Key, key)
		}
	}
	got := 0
	for got < keys {
		if u := Next(t, slow); u.Key != "" {
			got++
		}
	}
}

func writesEndWithTheirContext(t *testing.T, ctx context.Context, a, _ store.Store) {
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := a.Create(ended, "k", nil); err == nil || errors.Is(err, store.ErrConflict) {
		t.Errorf("create: %v", err)
	}
}
