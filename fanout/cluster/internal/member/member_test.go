package member

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// eachHeldOnce fails unless every partition is open in exactly one of the members.
func eachHeldOnce(t *testing.T, members ...*running) {
	t.Helper()
	synctest.Wait()
	count := make([]int, testPartitions)
	for _, m := range members {
		for _, p := range m.model.held() {
			count[p]++
			if _, ok := m.Holds(p); !ok {
				t.Errorf("%s has partition %d open, which it doesn't hold", m.o.ID, p)
			}
		}
	}
	for p, n := range count {
		if n != 1 {
			t.Errorf("partition %d is open %d times", p, n)
		}
	}
}

func TestMembersShareThePartitionsAndHandThemOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryStore()
		a := run(t, s, "a", nil)
		time.Sleep(time.Second)
		eachHeldOnce(t, a)
		b, c := run(t, s, "b", nil), run(t, s, "c", nil)
		time.Sleep(5 * time.Second)
		eachHeldOnce(t, a, b, c)
		for _, m := range []*running{a, b, c} {
			if n := len(m.model.held()); n < 10 {
				t.Errorf("%s holds %d partitions", m.o.ID, n)
			}
			if m.model.rate < 333 || m.model.rate > 334 {
				t.Errorf("%s may dial %v a second", m.o.ID, m.model.rate)
			}
		}
		if err := b.Leave(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-b.err; err != nil {
			t.Error(err)
		}
		eachHeldOnce(t, a, c)
		c.kill()
		<-c.done
		time.Sleep(testLease + 2*time.Second)
		eachHeldOnce(t, a)
		if err := a.Leave(context.Background()); err != nil {
			t.Error(err)
		}
		if held := a.model.held(); len(held) != 0 {
			t.Errorf("after Leave %v are open", held)
		}
		for key, u := range s.records {
			if kind := key[:3]; kind == "mem" && !u.Deleted {
				t.Errorf("%s is left: %s", key, u.Value)
			}
		}
	})
}

func TestAMemberThatIsCutOffEndsItsConnectionsInTimeAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemoryStore()
		a, b := run(t, s, "a", nil), run(t, s, "b", nil)
		time.Sleep(5 * time.Second)
		eachHeldOnce(t, a, b)
		held := b.model.held()
		b.link.cut(true)
		at := time.Now()
		for len(b.model.held()) > 0 {
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(at); took > testLease-testMargin || took < testLease-testMargin-testLease/5 {
			t.Errorf("connections ended after %v", took)
		}
		for _, p := range held {
			if slices.Contains(a.model.held(), p) {
				t.Fatalf("partition %d was taken over before %v", p, time.Since(at))
			}
		}
		time.Sleep(testMargin + 3*time.Second)
		eachHeldOnce(t, a)
		b.link.cut(false)
		time.Sleep(5 * time.Second)
		eachHeldOnce(t, a, b)
	})
}
