package machine

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

// handing returns a rig whose member holds all partitions, a partition that is to be b's, and b's session.
func handing(t *testing.T, change func(*Settings)) (r *rig, p int, session uint64) {
	r = joined(t, change)
	session = r.put("member.b", r.with(nil))
	r.pass(2 * time.Second) // longer than Overlap
	r.took()
	return r, ofB(8)[0], session
}

// want has b want partitions.
func (r *rig) want(session uint64, partitions ...int) {
	r.t.Helper()
	r.put("member.b", r.with(func(b *Member) { b.Session, b.Wants = session, partitions }))
}

func TestAPartitionIsHandedOverWhenItsConnectionsHaveEnded(t *testing.T) {
	r, p, session := handing(t, nil)
	r.want(session, p)
	r.wants(fmt.Sprint("drain ", p))
	r.pass(2 * time.Second)
	r.want(session, p)
	r.wants("")
	if got := r.part(p); got.Member != "a" {
		t.Fatalf("it is %v already", got)
	}
	r.in(r.m.Ended(r.now, p))
	r.wants("")
	if got := r.part(p); got != (Partition{Member: "b", Session: session}) {
		t.Errorf("it is %v", got)
	}
	if got := r.m.counts.handOvers; got != 1 {
		t.Errorf("%d partitions were handed over", got)
	}
}

func TestOnlyTheOwnerIsGivenAPartition(t *testing.T) {
	r, _, session := handing(t, nil)
	mine := slices.DeleteFunc([]int{0, 1, 2, 3, 4, 5, 6, 7}, func(p int) bool { return slices.Contains(ofB(8), p) })
	r.want(session, append(mine, -1, 8, 1e6)...)
	r.pass(time.Second)
	r.wants("")
}

func TestAPartitionThatNobodyWantsAnyMoreIsConnectedAgain(t *testing.T) {
	r, p, session := handing(t, nil)
	r.want(session, p)
	r.took()
	r.put("member.b", nil)
	r.wants("rate 100")
	token := r.m.parts.all[p].token
	r.in(r.m.Ended(r.now, p))
	r.wants(fmt.Sprintf("open %d token %d", p, token))
}

func TestAHandOverIsRepeatedUntilItsOutcomeIsKnown(t *testing.T) {
	for _, done := range []bool{false, true} {
		r, p, session := handing(t, nil)
		r.want(session, p)
		r.hold = true
		r.in(r.m.Ended(r.now, p))
		w := r.pending[len(r.pending)-1]
		r.pass(time.Second)
		for _, other := range r.pending[:len(r.pending)-1] {
			if other.Key == w.Key {
				t.Fatal("a second write has begun before the first was answered")
			}
		}
		r.hold = false
		r.lose(w, done)
		r.pass(time.Second)
		if got := r.part(p); got != (Partition{Member: "b", Session: session}) {
			t.Errorf("done %v: it is %v", done, got)
		}
		if got := r.m.parts.all[p].state; got != Foreign {
			t.Errorf("done %v: it is %v", done, got)
		}
	}
}

func TestAHandOverThatMayYetBeDoneKeepsThePartitionClosed(t *testing.T) {
	r, p, session := handing(t, nil)
	r.want(session, p)
	r.hold = true
	r.in(r.m.Ended(r.now, p))
	late := r.pending[len(r.pending)-1]
	r.lose(late, false)
	r.put("member.b", nil)
	r.took()
	r.pass(time.Second)
	r.wants("")
	var keep Write
	for _, w := range r.pending {
		if w.Key == late.Key {
			keep = w
		}
	}
	token := r.m.parts.all[p].token
	r.hold = false
	r.finish(keep) // another write, which the late one can't follow
	r.wants(fmt.Sprintf("open %d token %d", p, token))
	if got := r.part(p); got.Member != "a" || got.Token != token {
		t.Errorf("the partition is %v", got)
	}
	if _, ok := r.apply(late); ok {
		t.Error("the late write was done")
	}
}

func TestWithOverlapConnectionsStayUntilTheOwnerIsReady(t *testing.T) {
	overlap := func(s *Settings) { s.Overlap = time.Second }
	cede := func(t *testing.T) (r *rig, p int, session uint64) {
		r, p, session = handing(t, overlap)
		r.want(session, p)
		r.wants("")
		if got := r.part(p); got.Member != "b" {
			t.Fatalf("the partition is %v", got)
		}
		return r, p, session
	}
	t.Run("it is", func(t *testing.T) {
		r, p, session := cede(t)
		r.pass(500 * time.Millisecond)
		r.wants("")
		r.put(partKeyOf(p), Partition{Member: "b", Session: session, Ready: true, Token: 9})
		r.wants(fmt.Sprint("drain ", p))
		r.in(r.m.Ended(r.now, p))
		if got := r.m.parts.all[p].state; got != Foreign {
			t.Errorf("it is %v", got)
		}
	})
	t.Run("it takes longer than Overlap", func(t *testing.T) {
		r, p, _ := cede(t)
		r.pass(time.Second - 1)
		r.wants("")
		r.pass(1)
		r.wants(fmt.Sprint("drain ", p))
	})
	t.Run("the answer takes longer than Overlap", func(t *testing.T) {
		r, p, session := handing(t, overlap)
		r.hold = true
		r.want(session, p)
		r.pass(time.Second - 1)
		r.wants("")
		r.pass(1)
		r.wants(fmt.Sprint("drain ", p))
		r.hold = false
		r.finish(r.pending[slices.IndexFunc(r.pending, func(w Write) bool { return w.Key == partKeyOf(p) })])
		r.in(r.m.Ended(r.now, p))
		r.wants("")
		if got := r.m.parts.all[p].state; got != Foreign {
			t.Errorf("it is %v", got)
		}
	})
	t.Run("the owner is gone, and the hand-over may yet be done", func(t *testing.T) {
		r, p, session := handing(t, overlap)
		r.hold = true
		r.want(session, p)
		i := slices.IndexFunc(r.pending, func(w Write) bool { return w.Key == partKeyOf(p) })
		r.hold = false
		r.lose(r.pending[i], false)
		r.put("member.b", nil)
		r.pass(rigLease / 10)
		if got := r.part(p); got.Member != "a" {
			t.Errorf("it is %v", got)
		}
		if got := r.m.parts.all[p].state; got != Held {
			t.Errorf("it is %v", got)
		}
		r.wants("rate 100")
	})
	t.Run("not before those of the member before have ended", func(t *testing.T) {
		r := joined(t, overlap)
		session := r.put("member.b", r.with(nil))
		p := ofB(8)[0]
		r.m.parts.all[p].since = r.now
		r.want(session, p)
		r.pass(time.Second + rigMargin/4 - 1)
		if got := r.part(p); got.Member != "a" {
			t.Errorf("it is %v", got)
		}
		r.pass(1)
		if got := r.part(p); got.Member != "b" {
			t.Errorf("it is %v", got)
		}
	})
}

func TestWithOverlapAMemberSaysThatItIsReady(t *testing.T) {
	for _, overlap := range []time.Duration{0, time.Second} {
		r := joined(t, func(s *Settings) { s.Overlap = overlap })
		token := r.m.parts.all[3].token
		if r.pass(time.Second); r.part(3).Ready {
			t.Errorf("overlap %v: it is ready already", overlap)
		}
		r.in(r.m.Settled(r.now, 3))
		want := Partition{Member: "a", Session: r.m.own.session}
		if overlap > 0 {
			want.Ready, want.Token = true, token
		}
		if got := r.part(3); got != want {
			t.Errorf("overlap %v: the record is %v", overlap, got)
		}
		if got := r.m.parts.all[3].token; got != token {
			t.Errorf("the token was %d, and is %d", token, got)
		}
		r.wants("")
	}
}

func TestAPartitionThatWasHandedToAMemberIsOpened(t *testing.T) {
	r, p, session := handing(t, nil)
	r.want(session, p)
	r.in(r.m.Ended(r.now, p))
	r.want(session)
	r.took()
	token := r.put(partKeyOf(p), Partition{Member: "a", Session: r.m.own.session})
	r.wants(fmt.Sprintf("open %d token %d", p, token))
	if r.m.counts.receives != 1 {
		t.Errorf("%d were received", r.m.counts.receives)
	}
}

func TestAPartitionOfAnEarlierSessionIsNotHeld(t *testing.T) {
	r := joined(t, nil)
	session := r.m.own.session
	r.put("member.a", nil)
	r.hold = true
	r.in(r.m.CutDone(r.now))
	r.took()
	r.put("part.3", Partition{Member: "a", Session: session})
	r.wants("")
}

func TestAPartitionThatSomebodyHasOverwrittenIsClosed(t *testing.T) {
	r := joined(t, nil)
	session := r.put("member.b", r.with(nil))
	r.took()
	p := ofB(8)[0]
	r.put(partKeyOf(p), Partition{Member: "b", Session: session})
	r.wants(fmt.Sprint("drain ", p))
	r.in(r.m.Ended(r.now, p))
	r.wants("")
}

func TestWhatIsToldOfOtherPartitionsIsIgnored(t *testing.T) {
	r := joined(t, nil)
	for _, p := range []int{-1, 0, 7, 8, math.MaxInt} {
		r.in(r.m.Ended(r.now, p))
		r.in(r.m.Settled(r.now, p))
		r.in(r.m.Written(r.now, fmt.Sprint("part.", p), Accepted, 1000))
	}
	r.in(r.m.CutDone(r.now))
	for _, key := range []string{"config", "member.a", "member.b", "x", ""} {
		r.in(r.m.Written(r.now, key, Refused, 0))
	}
	r.wants("")
	r.state(Live)
}
