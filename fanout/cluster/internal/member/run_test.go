package member

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/machine"
)

func TestAnswersThatAreLostDelayNothingForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryStore()
		a := run(t, s, "a", nil)
		time.Sleep(time.Second)
		a.link.set(func(l *link) { l.lose = true })
		b := run(t, s, "b", nil)
		time.Sleep(testLease)
		eachHeldOnce(t, a, b)
		if len(b.model.held()) == 0 {
			t.Error("b has got nothing")
		}
		if a.model.cutTimes()+b.model.cutTimes() > 0 {
			t.Error("a session was lost")
		}
	})
}

func TestAWatchThatEndsIsBegunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryStore()
		a := run(t, s, "a", nil)
		time.Sleep(time.Second)
		opened := a.link.watched()
		a.link.cut(true)
		time.Sleep(testLease / 4)
		failed := a.link.watched() - opened
		if failed > 10 {
			t.Errorf("%d attempts in a quarter of a Lease", failed)
		}
		a.link.cut(false)
		b := run(t, s, "b", nil)
		time.Sleep(testLease / 2)
		eachHeldOnce(t, a, b)
		if a.model.cutTimes() > 0 {
			t.Error("a session was lost")
		}
	})
}

func TestAStoreThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryStore()
		a := run(t, s, "a", nil)
		time.Sleep(time.Second)
		a.link.set(func(l *link) { l.hang = true })
		a.link.cut(true)
		time.Sleep(2 * testLease)
		if a.model.cutTimes() != 1 || len(a.model.held()) != 0 {
			t.Errorf("%d cuts, and %v is held", a.model.cutTimes(), a.model.held())
		}
		a.link.set(func(l *link) { l.hang = false })
		a.link.cut(false)
		time.Sleep(2 * testLease)
		eachHeldOnce(t, a)
	})
}

func TestALateAnswerToAWatchThatWasGivenUpIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryStore()
		a := run(t, s, "a", nil)
		time.Sleep(time.Second)
		a.inbox.put(notice{kind: watchNotice, watch: openedWatch{id: 1, err: errAway}})
		a.inbox.put(notice{kind: watchNotice, watch: openedWatch{id: 1}})
		b := run(t, s, "b", nil)
		time.Sleep(testLease / 2)
		eachHeldOnce(t, a, b)
	})
}

func TestLeaveWithoutOthersDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := run(t, newMemoryStore(), "a", nil)
		time.Sleep(time.Second)
		at := time.Now()
		if err := a.Leave(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(at); took < a.model.takes || a.model.cutTimes() > 0 {
			t.Errorf("it took %v, with %d cuts", took, a.model.cutTimes())
		}
		if err := <-a.err; err != nil {
			t.Error(err)
		}
		if _, ok := a.Holds(0); ok {
			t.Error("it still holds a partition")
		}
		if err := a.Leave(t.Context()); err != nil {
			t.Error("a second Leave:", err)
		}
	})
}

func TestLeaveCutsWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryStore()
		a := run(t, s, "a", nil)
		time.Sleep(time.Second)
		a.model.takes = time.Hour
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		at := time.Now()
		if err := a.Leave(ctx); err != context.DeadlineExceeded {
			t.Error(err)
		}
		if took := time.Since(at); took != time.Second || a.model.cutTimes() != 1 {
			t.Errorf("it took %v, with %d cuts", took, a.model.cutTimes())
		}
		if u := s.record(machine.MemberKey("a")); !u.Deleted {
			t.Error("its record is left")
		}
	})
}

func TestLeaveEndsWhileTheStoreIsAway(t *testing.T) {
	for _, hang := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a := run(t, newMemoryStore(), "a", nil)
			time.Sleep(time.Second)
			a.link.set(func(l *link) { l.hang = hang })
			a.link.cut(true)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			at := time.Now()
			if err := a.Leave(ctx); err != context.DeadlineExceeded {
				t.Error(err)
			}
			if took := time.Since(at); took > time.Second+testLease/2 {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestRunEndsWithItsContextAsIfTheProcessHadDied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryStore()
		a, b := run(t, s, "a", nil), run(t, s, "b", nil)
		time.Sleep(testLease / 2)
		a.kill()
		if err := <-a.err; err != context.Canceled {
			t.Error(err)
		}
		if a.model.cutTimes() != 1 {
			t.Errorf("%d cuts", a.model.cutTimes())
		}
		if u := s.record(machine.MemberKey("a")); u.Deleted {
			t.Error("its record was deleted")
		}
		if err := a.Leave(t.Context()); err != nil {
			t.Error("Leave after that:", err)
		}
		time.Sleep(testLease + time.Second)
		eachHeldOnce(t, b)
	})
}

func TestRunFailsIfTheClusterHasOtherSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryStore()
		run(t, s, "a", nil)
		time.Sleep(time.Second)
		b := run(t, s, "b", func(o *Options) { o.Lease = time.Minute })
		var incompatible *machine.IncompatibleError
		if err := <-b.err; !errors.As(err, &incompatible) || incompatible.Config.Lease != testLease {
			t.Error(err)
		}
	})
}

// A member that stands still notices, when it goes on, that its time is over before its goroutine does.
func TestHoldsReadsTheClock(t *testing.T) {
	for _, keep := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			clock := &skewedClock{Clock: Monotonic()}
			a := run(t, newMemoryStore(), "a", func(o *Options) { o.Clock, o.KeepConnections = clock, keep })
			time.Sleep(time.Second)
			token, ok := a.Holds(3)
			if !ok || token != a.model.token(3) {
				t.Errorf("it holds partition 3 with %d, %v", token, ok)
			}
			clock.skew.Store(int64(testLease - testMargin - testLease/5))
			if _, ok := a.Holds(3); !ok {
				t.Error("too early it holds nothing")
			}
			clock.skew.Store(int64(testLease - testMargin))
			if _, ok := a.Holds(3); ok != keep {
				t.Errorf("after the deadline it holds partition 3: %v", ok)
			}
			if a.model.cutTimes() != 0 {
				t.Error("it has cut already")
			}
			for _, p := range []int{-1, testPartitions, math.MaxInt} {
				if _, ok := a.Holds(p); ok {
					t.Errorf("it holds partition %d", p)
				}
			}
		})
	}
}

type skewedClock struct {
	Clock
	skew atomic.Int64
}

func (c *skewedClock) Now() time.Duration { return c.Clock.Now() + time.Duration(c.skew.Load()) }

func TestAPartitionIsNotHeldWhenItIsHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryStore()
		a := run(t, s, "a", nil)
		time.Sleep(time.Second)
		b := run(t, s, "b", nil)
		for range 5000 {
			time.Sleep(time.Millisecond)
			synctest.Wait()
			for p := range testPartitions {
				first, ok := a.Holds(p)
				second, too := b.Holds(p)
				if ok && too {
					t.Fatalf("partition %d is held with %d and %d", p, first, second)
				}
			}
		}
		for _, p := range b.model.held() {
			if a.model.token(p) != 0 {
				t.Errorf("partition %d is open twice", p)
			}
		}
	})
}

func TestFewWritesAreUnderWayAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryStore()
		a := run(t, s, "a", nil)
		time.Sleep(time.Second)
		b := run(t, s, "b", nil)
		time.Sleep(testLease / 2)
		a.link.set(func(l *link) { l.slow = 50 * time.Millisecond })
		var most int
		done := make(chan struct{})
		go func() {
			defer close(done)
			a.Leave(context.Background())
		}()
		for running := true; running; {
			select {
			case <-done:
				running = false
			case <-time.After(time.Millisecond):
				most = max(most, a.link.underway())
			}
		}
		if most > maxWriting+1 {
			t.Errorf("%d writes at a time", most)
		}
		eachHeldOnce(t, b)
	})
}

func TestWritesThatWaitAreDoneInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryStore()
		l := s.link()
		l.slow = time.Second
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := &runner{Member: New(Options{Settings: machine.Settings{ID: "a", Lease: time.Hour}, Store: l, Holder: newModel(), Clock: Monotonic()}), ctx: ctx}
		for i := range 2*maxWriting + 5 {
			r.write(write{Key: machine.MemberKey("x" + string(rune('A'+i))), Value: []byte("1")})
		}
		r.write(write{Key: machine.MemberKey("a"), Value: []byte("1")}) // doesn't wait
		for range 3 {
			synctest.Wait()
			if got := l.underway(); got > maxWriting+1 {
				t.Errorf("%d are under way", got)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			notices, _ := r.inbox.take()
			for _, n := range notices {
				r.written(n.write)
			}
		}
		var keys []string
		for key := range s.records {
			keys = append(keys, key)
		}
		if len(keys) != 2*maxWriting+6 || !slices.Contains(keys, "member.a") {
			t.Errorf("%d records were written", len(keys))
		}
		if revision := s.record("member.a").Revision; revision > maxWriting+1 {
			t.Errorf("the own record was written as number %d", revision)
		}
	})
}

func TestStatusShowsMembersAndPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryStore()
		a, b := run(t, s, "a", nil), run(t, s, "b", func(o *Options) { o.Weight = 3 })
		time.Sleep(testLease / 2)
		synctest.Wait()
		status := a.Status()
		if status.ID != "a" || status.State != machine.Live || !status.Watching || status.Session == 0 || status.Rate != 250 {
			t.Errorf("%+v", status)
		}
		if len(status.Members) != 2 || len(status.Partitions) != testPartitions {
			t.Fatalf("%d members and %d partitions", len(status.Members), len(status.Partitions))
		}
		for i, m := range []*running{a, b} {
			of := status.Members[i]
			if of.ID != m.o.ID || of.Held != len(m.model.held()) || of.Held != of.Share || of.Weight != m.o.Weight {
				t.Errorf("member %d is %+v", i, of)
			}
			for _, p := range m.model.held() {
				if got := status.Partitions[p]; got.Holder != m.o.ID || got.Owner != m.o.ID || got.Token != m.model.token(p) {
					t.Errorf("partition %d is %+v", p, got)
				}
			}
		}
	})
}

func BenchmarkHolds(b *testing.B) {
	m := New(Options{Settings: machine.Settings{Partitions: 1}})
	m.tokens[0].Store(1)
	m.deadline.Store(1 << 62)
	for b.Loop() {
		if _, ok := m.Holds(0); !ok {
			b.Fatal("it isn't held")
		}
	}
}
