package machine

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestPartitionsAreClaimedAsTheBacklogAllows(t *testing.T) {
	r := newRig(t, nil)
	r.hold = true
	r.snapshot()
	for len(r.pending) > 0 && r.pending[0].Key != "part.0" {
		w := r.pending[0]
		r.pending = r.pending[1:]
		r.finish(w)
	}
	r.took()
	claims := func() (n int) {
		for _, w := range r.pending {
			if w.Key[:5] == "part." {
				n++
			}
		}
		return n
	}
	if got := claims(); got != 1 {
		t.Fatalf("without knowing how many keys there are, it claims %d partitions", got)
	}
	r.hold = false
	r.m.backlog = 0
	w := r.pending[0]
	r.pending, r.hold = nil, true
	record, _ := r.apply(w)
	actions := r.m.Written(r.now, w.Key, Accepted, record.Revision)
	if open, ok := actions[len(actions)-1].(Open); !ok || open.Partition != 0 || open.Token != record.Revision {
		t.Errorf("it does %v", actions)
	}
	if r.pass(time.Second); claims() != 0 {
		t.Fatal("it claims another one before it knows what that one has")
	}
	r.load(40, 100) // a second's share of 100
	if r.pass(time.Second); claims() != 0 {
		t.Fatal("it claims another one with a full backlog")
	}
	r.load(40, 99) // one more has room
	if claims() != 1 {
		t.Fatalf("it claims %d", claims())
	}
	r.load(40, 0) // 40 of each: three are on the way
	if claims() != 3 {
		t.Fatalf("it claims %d", claims())
	}
}

func TestPartitionsOfOthersAreWantedAsTheBacklogAllows(t *testing.T) {
	r := newRig(t, func(s *Settings) { s.Partitions = 200 })
	b := r.put("member.b", Member{Weight: 1, N: 1})
	for p := range 200 {
		r.put(partKeyOf(p), Partition{Member: "b", Session: b})
	}
	r.snapshot()
	know := func() {
		r.put("member.b", Member{Session: b, Weight: 1, N: 1, Knows: []uint64{b, r.m.own.session}})
	}
	know()
	r.pass(time.Second)
	if got := r.own().Wants; len(got) != 1 {
		t.Fatalf("it wants %v", got)
	}
	p := r.own().Wants[0]
	r.keys, r.backlog = 10, 50
	r.put(partKeyOf(p), Partition{Member: "a", Session: r.m.own.session})
	r.pass(3 * time.Second)
	if got := r.own().Wants; len(got) != 0 {
		t.Fatalf("with a full backlog, for a rate of 50, it wants %v", got)
	}
	r.load(10, 15)
	r.pass(time.Second)
	if got := r.own().Wants; len(got) != 4 || slices.Contains(got, p) {
		t.Fatalf("with 15 to go and 10 of each it wants %v", got)
	}
	r.load(0, 0) // partitions without keys
	r.pass(time.Second)
	if got := r.own().Wants; len(got) != maxPending {
		t.Errorf("it wants %d partitions at a time", len(got))
	}
	for _, p := range r.own().Wants {
		if r.m.owners.Owner(p) != "a" {
			t.Errorf("it wants %d, which is not to be its own", p)
		}
	}
}

func TestAClaimWhoseAnswerIsLostIsAClaim(t *testing.T) {
	for _, done := range []bool{false, true} {
		r := joined(t, nil)
		session := r.put("member.b", r.with(nil))
		p := ofB(8)[0]
		r.want(session, p)
		r.in(r.m.Ended(r.now, p))
		r.took()
		r.hold = true
		r.put("member.b", nil) // a has to claim it back
		i := slices.IndexFunc(r.pending, func(w Write) bool { return w.Key == partKeyOf(p) })
		if i < 0 {
			t.Fatalf("it isn't claimed: %v", r.pending)
		}
		r.hold = false
		r.lose(r.pending[i], done)
		r.pass(time.Second)
		r.wants(fmt.Sprintf("rate 100, open %d token %d", p, r.records[partKeyOf(p)].Revision))
		if r.m.counts.claims != 9 {
			t.Errorf("%d were claimed", r.m.counts.claims)
		}
	}
}

func TestAClaimIsGivenUpWhenAnotherMemberWasFaster(t *testing.T) {
	r := joined(t, nil)
	session := r.put("member.b", r.with(nil))
	p := ofB(8)[0]
	r.want(session, p)
	r.in(r.m.Ended(r.now, p))
	r.hold = true
	r.put("member.b", nil)
	i := slices.IndexFunc(r.pending, func(w Write) bool { return w.Key == partKeyOf(p) })
	r.took()
	r.mute = true
	c := r.store("member.c", []byte(`{"weight":0.001,"n":1}`))
	record := r.store(partKeyOf(p), fmt.Appendf(nil, `{"member":"c","session":%d}`, c.Revision))
	r.mute = false
	r.finish(r.pending[i]) // is refused
	r.wants("")
	r.deliver(c)
	r.deliver(record)
	if got := r.m.parts.all[p].state; got != Foreign {
		t.Errorf("it is %v", got)
	}
}

// A member that takes a session for ended, because its watch shows nothing of it, might be wrong: a
// watch can be late.
func TestASessionOfWhichNothingIsKnownIsProvedToHaveEnded(t *testing.T) {
	ghost := func() *rig {
		r := newRig(t, nil)
		for p := range 8 {
			r.put(partKeyOf(p), Partition{Member: "ghost", Session: 1})
		}
		r.hold = true
		r.snapshot()
		for len(r.pending) > 0 && r.pending[0].Key != "member.ghost" {
			w := r.pending[0]
			r.pending = r.pending[1:]
			r.finish(w)
		}
		if len(r.pending) == 0 {
			t.Fatal("it doesn't try to create a tombstone")
		}
		r.hold = false
		return r
	}
	t.Run("it has", func(t *testing.T) {
		r := ghost()
		r.finish(r.pending[0])
		r.pass(time.Second)
		if got := r.m.parts.count[Held]; got != 8 {
			t.Errorf("%d partitions are held", got)
		}
		if string(r.records["member.ghost"].Value) != string(tombstone) {
			t.Errorf("the tombstone is %s", r.records["member.ghost"].Value)
		}
		r.pass(2 * rigLease)
		if !r.records["member.ghost"].Deleted {
			t.Error("the tombstone is left")
		}
	})
	t.Run("it has, and the answer is lost", func(t *testing.T) {
		r := ghost()
		r.lose(r.pending[0], true)
		r.pass(time.Second)
		if got := r.m.parts.count[Held]; got != 8 {
			t.Errorf("%d partitions are held", got)
		}
	})
	t.Run("it has not", func(t *testing.T) {
		r := ghost()
		r.mute = true
		record := r.store("member.ghost", []byte(`{"session":1,"weight":1,"n":7}`))
		r.mute = false
		r.finish(r.pending[0])
		r.pass(time.Second)
		if got := r.m.parts.count[Held] + r.m.parts.count[Claiming]; got != 0 {
			t.Errorf("%d partitions were claimed", got)
		}
		r.deliver(record)
		r.pass(rigLease / 2)
		if r.m.parts.taken.len() == 0 || r.m.parts.count[Held] != 0 {
			t.Errorf("%d are known to be taken, %d held", r.m.parts.taken.len(), r.m.parts.count[Held])
		}
	})
}

func TestAPartitionThatCanNotBeReadIsNobodysToTake(t *testing.T) {
	r := newRig(t, nil)
	r.put("part.3", "{")
	r.snapshot()
	r.pass(rigLease)
	if got := r.m.parts.all[3].state; got != Foreign || r.m.parts.count[Held] != 7 {
		t.Errorf("it is %v, and %d are held", got, r.m.parts.count[Held])
	}
}
