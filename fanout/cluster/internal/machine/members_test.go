package machine

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestASilentMemberIsDeclaredDeadAfterALease(t *testing.T) {
	r := joined(t, nil)
	r.put("member.b", r.with(nil))
	r.pass(rigLease / 2)
	last := r.put("member.b", r.with(func(b *Member) { b.Session = r.records["member.b"].Revision }))
	r.pass(rigLease - 1)
	if r.records["member.b"].Deleted {
		t.Fatal("it was deleted too early")
	}
	r.hold = true
	r.pass(1)
	w := r.pending[len(r.pending)-1]
	if w.Key != "member.b" || w.Value != nil || w.Last != last {
		t.Fatalf("the write is %v", w)
	}
	r.hold = false
	r.finish(w)
	if !r.records["member.b"].Deleted {
		t.Error("it wasn't deleted")
	}
}

func TestAMemberWithALongerLeaseIsDeadLater(t *testing.T) {
	for lease, deleted := range map[time.Duration]bool{0: true, rigLease / 2: true, -1: true, 2 * rigLease: false, 1 << 62: false} {
		r := joined(t, nil)
		r.put("member.b", r.with(func(b *Member) { b.Lease = lease }))
		r.pass(rigLease - 1)
		if r.records["member.b"].Deleted {
			t.Errorf("lease %v: it was deleted too early", lease)
		}
		r.pass(rigLease)
		if r.records["member.b"].Deleted != deleted {
			t.Errorf("lease %v: after two Leases it is deleted: %v", lease, !deleted)
		}
	}
}

func TestAMemberThatHasRenewedIsNotDead(t *testing.T) {
	r := joined(t, nil)
	r.put("member.b", r.with(nil))
	session := r.records["member.b"].Revision
	r.pass(rigLease - 1)
	r.hold = true
	r.pass(1)
	w := r.pending[slices.IndexFunc(r.pending, func(w Write) bool { return w.Key == "member.b" })]
	r.mute = true
	r.put("member.b", r.with(func(b *Member) { b.Session = session })) // the watch is late
	r.finish(w)                                                        // is refused
	writes := len(r.pending)
	r.pass(rigLease / 2)
	for _, w := range r.pending[writes:] {
		if w.Key == "member.b" {
			t.Errorf("after half a Lease it is tried again: %v", w)
		}
	}
}

func TestTimeCountsOnlyWhileTheWatchLives(t *testing.T) {
	r := joined(t, nil)
	r.put("member.b", r.with(nil))
	r.pass(rigLease * 9 / 10)
	r.in(r.m.WatchLost(r.now))
	r.pass(rigLease * 9 / 10)
	r.snapshot()
	r.pass(rigLease * 9 / 10)
	if r.records["member.b"].Deleted {
		t.Error("b was deleted too early")
	}
	r.pass(rigLease / 10)
	if !r.records["member.b"].Deleted {
		t.Error("b wasn't deleted")
	}
}

func TestAMemberThatNATSWasAwayFromHasHeardNobody(t *testing.T) {
	r := joined(t, func(s *Settings) { s.KeepConnections = true })
	r.put("member.b", r.with(nil))
	r.hold = true
	r.pass(3 * rigLease)
	r.state(Adrift)
	for _, w := range r.pending {
		if w.Key == "member.b" {
			t.Error("b was declared dead while NATS was away")
		}
	}
	r.hold = false
	r.in(r.m.Written(r.now, "member.a", Lost, 0))
	r.state(Live)
	r.pass(rigLease * 9 / 10)
	if r.records["member.b"].Deleted {
		t.Error("b was declared dead before it could renew")
	}
	r.pass(rigLease / 10)
	if !r.records["member.b"].Deleted {
		t.Error("b wasn't declared dead")
	}
}

func TestMembersDeclareOneDeadInTurn(t *testing.T) {
	for _, c := range []struct {
		dead, other string
		turn        time.Duration
	}{
		{"c", "b", 0},                 // around the circle from c: a, b
		{"aa", "b", 1}, {"0", "b", 0}, // from aa: b, a. From 0: a, b
	} {
		r := joined(t, nil)
		r.put("member."+c.other, r.with(nil))
		session := r.records["member."+c.other].Revision
		r.put("member."+c.dead, r.with(nil))
		for range 9 {
			r.pass(rigLease / 10)
			r.put("member."+c.other, r.with(func(m *Member) { m.Session = session }))
		}
		r.pass(rigLease/10 - 1 + c.turn*rigMargin/32)
		if r.records["member."+c.dead].Deleted {
			t.Errorf("%s was deleted too early", c.dead)
		}
		r.pass(1)
		if !r.records["member."+c.dead].Deleted {
			t.Errorf("%s wasn't deleted", c.dead)
		}
	}
}

func TestAMemberWaitsUntilAllThatDialKnowIt(t *testing.T) {
	r := newRig(t, nil)
	elder := r.put("member.b", Member{Weight: 3, N: 1})
	r.snapshot()
	r.state(Waiting)
	r.pass(time.Second)
	r.wants("watch")
	session := r.m.own.session
	if got := r.own().Knows; len(got) != 2 {
		t.Errorf("so far its record knows %v", got)
	}
	younger := r.put("member.c", Member{Weight: 1, N: 1}) // need not know a: it sees it before it dials
	if got := r.own().Knows; len(got) != 3 || got[0] != elder || got[1] != session || got[2] != younger {
		t.Errorf("its record knows %v", got)
	}
	r.put("member.b", Member{Session: elder, Weight: 3, N: 2, Knows: []uint64{elder, session + 1}})
	r.state(Waiting)
	r.put("member.b", Member{Session: elder, Weight: 3, N: 3, Knows: []uint64{elder, session, younger}})
	r.state(Live)
	if got := r.took(); !strings.HasPrefix(got, "rate 20, open ") {
		t.Errorf("then it did %q", got)
	}
}

func TestAMemberWaitsNoLongerForOneThatHasEnded(t *testing.T) {
	r := newRig(t, nil)
	r.put("member.b", Member{Weight: 1, N: 1})
	r.snapshot()
	r.pass(rigLease - 1)
	r.state(Waiting)
	r.pass(1)
	r.state(Live)
}

func TestTheRateIsLoweredBeforeTheRecordSaysThatAMemberIsKnown(t *testing.T) {
	r := joined(t, nil)
	r.pass(time.Second)
	r.hold = true
	b := r.store("member.b", []byte(`{"weight":4,"n":1}`))
	actions := r.m.Watched(r.now, b)
	rate, written := -1, -1
	for i, a := range actions {
		switch a := a.(type) {
		case SetRate:
			rate = i
			if a.Rate != 20 {
				t.Errorf("the rate is %v", a.Rate)
			}
		case Write:
			if a.Key == "member.a" {
				written = i
			}
		}
	}
	if rate < 0 || written < rate {
		t.Errorf("it does %v", actions)
	}
}

func TestSharesOfTheRateAddUp(t *testing.T) {
	weights := []float64{1, 0.5, 3, 1e9, 1e-9, 0, -2}
	total := 0.0
	for own := range weights {
		r := newRig(t, func(s *Settings) { s.Weight = weights[own] })
		r.snapshot()
		for i, w := range weights {
			if i != own {
				r.put("member.b"+string(rune('0'+i)), r.with(func(b *Member) { b.Weight = w }))
			}
		}
		r.state(Live)
		total += r.m.rate
	}
	if math.Abs(total-100) > 1e-9 {
		t.Errorf("together they may dial %v connections in a second", total)
	}
}

func TestALeavingMemberCountsForTheRateUntilItHasEnded(t *testing.T) {
	r := joined(t, nil)
	session := r.put("member.b", r.with(nil))
	r.wants("rate 50")
	r.put("member.b", r.with(func(b *Member) { b.Session, b.Leaving = session, true }))
	r.wants("")
	r.put("member.b", nil)
	r.wants("rate 100")
}

func TestMembersWithoutAWeightGetNothing(t *testing.T) {
	for _, record := range []string{
		`{"weight":0,"n":1}`, `{"weight":-1,"n":1}`, `{"n":1}`, `{"weight":null,"n":1}`,
		`{"weight":1,"leaving":true,"n":1}`,
		`{"weight":1e999,"n":1}`, `{"weight":"NaN","n":1}`, // can't be read
	} {
		r := joined(t, nil)
		r.put("member.b", record)
		for p := range 8 {
			if got := r.m.owners.Owner(p); got != "a" {
				t.Errorf("%s: partition %d is to be %q's", record, p, got)
			}
		}
	}
}

func TestRecordsThatMakeNoSenseAreIgnored(t *testing.T) {
	r := joined(t, nil)
	r.put("member.b", r.with(nil))
	session := r.records["member.b"].Revision
	r.took()
	for _, key := range []string{"part.0", "part.-1", "part.8", "part.07", "part.x", "part.", "member.", "member.a b", "member.*", "other", ""} {
		for _, value := range []string{"", "{", "null", `{"member":7}`, `{"session":18446744073709551615}`, "{}", `{"member":"x","token":1000000}`, "\x00"} {
			r.put(key, value)
		}
	}
	for _, value := range []string{"", "{", "[]", `{"weight":{}}`, `{"session":18446744073709551615,"weight":9}`, `{"wants":[1,2,3,-1,"x"]}`} {
		r.put("member.b", value)
	}
	r.state(Live)
	r.wants("")
	if b := r.m.members.byID["b"]; b.session != session || b.Weight != 1 || len(r.m.members.byID) != 2 {
		t.Errorf("b is %+v", b)
	}
	r.put("part.0", fmt.Sprintf(`{"member":"a","session":%d,"later":{"x":1}}`, r.m.own.session)) // of a newer version, perhaps
	r.wants("")
}

func TestAMemberThatCanNotBeReadIsDeletedWhenItIsSilent(t *testing.T) {
	r := joined(t, nil)
	r.put("member.b", "{")
	r.pass(rigLease)
	if !r.records["member.b"].Deleted {
		t.Error("it is still there")
	}
}

func TestASecondSessionOfAMemberEndsTheFirst(t *testing.T) {
	r := joined(t, nil)
	first := r.put("member.b", r.with(nil))
	p := ofB(8)[0]
	r.put(partKeyOf(p), Partition{Member: "b", Session: first})
	r.put("member.c", r.with(func(c *Member) { c.Weight = 0 }))
	if got := r.m.sessionOf(&r.m.parts.all[p]); got != sessionAlive {
		t.Errorf("at first the session's state is %d", got)
	}
	r.put("member.b", r.with(nil))
	if got := r.m.sessionOf(&r.m.parts.all[p]); got != sessionEnded {
		t.Errorf("then it is %d", got)
	}
}

func TestEndedSessionsTakeNoMemory(t *testing.T) {
	r := joined(t, nil)
	for i := range 1000 {
		id := "member.x" + strings.Repeat("y", i)
		r.put(id, r.with(nil))
		r.put(id, nil)
	}
	if got := len(r.m.members.ended); got > 100 {
		t.Errorf("%d are remembered", got)
	}
}
