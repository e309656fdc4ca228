package machine

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAMemberJoins(t *testing.T) {
	r := newRig(t, nil)
	r.hold = true
	r.snapshot()
	if len(r.pending) != 1 || r.pending[0].Key != "config" {
		t.Fatalf("first it writes %v", r.pending)
	}
	r.finish(r.pending[0])
	if len(r.pending) != 2 || r.pending[1].Key != "member.a" || r.pending[1].Last != 0 {
		t.Fatalf("then it writes %v", r.pending)
	}
	r.state(Joining)
	r.hold = false
	r.finish(r.pending[1])
	r.state(Live)
	if want := "watch, rate 100, open 0 token 3"; r.took()[:len(want)] != want {
		t.Errorf("it did %v", r.did)
	}
	if string(r.records["config"].Value) != `{"version":1,"partitions":8,"lease":10000000000}` {
		t.Errorf("config is %s", r.records["config"].Value)
	}
}

func TestAMemberWithOtherSettingsCannotJoin(t *testing.T) {
	for name, c := range map[string]struct {
		config any
		want   Config
		text   string
	}{
		"partitions":      {Config{1, 9, rigLease}, Config{1, 9, rigLease}, "9 partitions, not 8"},
		"lease":           {Config{1, 8, time.Second}, Config{1, 8, time.Second}, "a lease of 1s, not " + rigLease.String()},
		"a newer version": {Config{2, 9, rigLease}, Config{2, 9, rigLease}, "version 2 of records, not 1; 9 partitions, not 8"},
		"garbage":         {"{", Config{}, "the record of its settings can't be read"},
		"nothing":         {"null", Config{}, "the record of its settings can't be read"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("config", c.config)
			r.put("member.b", Member{Weight: 1, N: 1})
			r.snapshot()
			r.state(Joining)
			r.put("member.b", Member{Weight: 1, N: 2, Session: 2})
			r.state(Left)
			var incompatible *IncompatibleError
			if r.exit == nil || !errors.As(r.exit.Err, &incompatible) || incompatible.Config != c.want {
				t.Fatalf("it ends with %v", r.exit)
			}
			if incompatible.Error() != c.text || incompatible.Ours != (Config{1, 8, rigLease}) {
				t.Errorf("the error is %v", incompatible)
			}
			if len(r.records) != 2 {
				t.Errorf("it has written %v", r.records)
			}
		})
	}
}

func TestSettingsOfMembersThatAreNoMoreAreReplaced(t *testing.T) {
	for name, member := range map[string]any{
		"nobody is left": nil,
		"one has died":   Member{Weight: 1, N: 1, Lease: 3 * rigLease},
	} {
		t.Run(name, func(t *testing.T) {
			const longer = 3 * rigLease
			r := newRig(t, nil)
			r.put("config", Config{1, 9, longer})
			if member != nil {
				r.put("member.b", member)
			}
			r.snapshot()
			if member != nil {
				r.pass(longer - time.Second)
				r.state(Joining) // its lease is the longer one
				r.pass(2 * time.Second)
			}
			r.state(Live)
			if string(r.records["config"].Value) != `{"version":1,"partitions":8,"lease":10000000000}` {
				t.Errorf("config is %s", r.records["config"].Value)
			}
		})
	}
}

func TestAMemberWhoseSettingsAreReplacedCutsAndEnds(t *testing.T) {
	r := joined(t, nil)
	r.put("config", Config{1, 9, rigLease})
	r.wants("cut")
	r.in(r.m.CutDone(r.now))
	r.state(Left)
	var incompatible *IncompatibleError
	if !errors.As(r.exit.Err, &incompatible) || !r.records["member.a"].Deleted {
		t.Errorf("it ends with %v and the record %s", r.exit.Err, r.records["member.a"].Value)
	}
}

func TestARecordIsRenewedFiveTimesInALease(t *testing.T) {
	r := joined(t, nil)
	r.pass(rigLease)
	before := r.own().N
	r.pass(rigLease)
	if got := r.own().N - before; got != 5 {
		t.Errorf("%d renewals in a Lease", got)
	}
}

func TestTheDeadlineCountsFromWhenTheLastDoneRenewalWasBegun(t *testing.T) {
	renewal := func() (*rig, Write, time.Duration) {
		r := joined(t, nil)
		r.pass(rigLease)
		r.hold = true
		for len(r.pending) == 0 {
			r.pass(time.Millisecond)
		}
		begun := r.now
		r.now += time.Second
		return r, r.pending[0], begun + rigLease - rigMargin
	}
	t.Run("told by the answer", func(t *testing.T) {
		r, w, want := renewal()
		r.mute = true
		r.finish(w)
		if got := r.m.Deadline(); got != want {
			t.Errorf("the deadline is %v off", got-want)
		}
	})
	t.Run("told by the watch", func(t *testing.T) {
		r, w, want := renewal()
		record, _ := r.apply(w)
		r.deliver(record)
		if got := r.m.Deadline(); got != want {
			t.Errorf("the deadline is %v off", got-want)
		}
	})
	t.Run("an answer that comes after a later renewal's", func(t *testing.T) {
		r, w, _ := renewal()
		before := r.m.Deadline()
		r.lose(w, false)
		if r.m.Deadline() != before {
			t.Error("a renewal that was lost moves the deadline")
		}
		r.pass(rigLease / 10)
		if len(r.pending) != 2 {
			t.Fatalf("%d renewals", len(r.pending))
		}
		r.finish(r.pending[1])
		if got := r.m.Deadline() - before; got < rigLease/5 || got > rigLease/2 {
			t.Errorf("the deadline has moved by %v", got)
		}
	})
}

func TestAtTheDeadlineAMemberCutsAndThenJoinsAgain(t *testing.T) {
	r := joined(t, nil)
	deadline := r.m.Deadline()
	r.hold, r.mute = true, true
	r.in(r.m.WatchLost(r.now))
	r.pass(deadline - r.now - 1)
	r.state(Live)
	r.wants("")
	r.pass(1)
	r.state(Cutting)
	r.wants("cut")
	if r.m.Deadline() >= 0 {
		t.Error("it has a deadline without a session")
	}
	writes := len(r.pending)
	r.pass(time.Second)
	if len(r.pending) != writes {
		t.Error("it writes before all connections have ended")
	}
	r.in(r.m.CutDone(r.now))
	r.state(Joining)
	for _, w := range r.pending {
		r.in(r.m.Written(r.now, w.Key, Lost, 0))
	}
	r.hold, r.mute = false, false
	old := r.records["member.a"].Revision
	r.snapshot()
	r.pass(time.Second)
	r.state(Live)
	if r.m.own.session <= old || r.own().Session != r.m.own.session {
		t.Errorf("the session is %d, and the old record was %d", r.m.own.session, old)
	}
	if got := r.took(); !strings.HasPrefix(got, "watch, rate 100, open ") {
		t.Errorf("it did %q", got)
	}
	if r.m.parts.count[Held] != 8 || r.m.counts.losses != 1 {
		t.Errorf("it holds %d partitions, after %d losses", r.m.parts.count[Held], r.m.counts.losses)
	}
}

func TestAMemberThatWaitsIsCutAtTheDeadlineInAnyCase(t *testing.T) {
	r := newRig(t, func(s *Settings) { s.KeepConnections = true })
	r.put("member.b", Member{Weight: 1, N: 1})
	r.snapshot()
	r.state(Waiting)
	r.hold = true
	r.pass(rigLease)
	r.state(Cutting)
}

func TestASessionIsLostWithItsRecord(t *testing.T) {
	for name, lose := range map[string]func(*rig){
		"deleted":           func(r *rig) { r.put("member.a", nil) },
		"a tombstone":       func(r *rig) { r.put("member.a", Member{Dead: true}) },
		"another session":   func(r *rig) { r.put("member.a", Member{N: 1}) },
		"another process's": func(r *rig) { r.put("member.a", Member{Session: r.m.own.session, N: 1e6}) },
		"gone when a watch begins": func(r *rig) {
			r.in(r.m.WatchLost(r.now))
			delete(r.records, "member.a")
			r.snapshot()
			r.state(Live) // the watch may be one of the past
			r.pass(2 * time.Second)
		},
	} {
		for _, keep := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				r := joined(t, func(s *Settings) { s.KeepConnections = keep })
				lose(r)
				r.state(Cutting)
				r.wants("cut")
				r.in(r.m.CutDone(r.now))
				r.pass(time.Second)
				r.state(Live)
			})
		}
	}
}

func TestNATSThatHasLostAllDataIsJoinedAgain(t *testing.T) {
	for _, keep := range []bool{false, true} {
		r := joined(t, func(s *Settings) { s.KeepConnections = keep })
		r.put("member.b", r.with(nil))
		r.put("member.b", nil)
		r.pass(rigLease)
		r.in(r.m.WatchLost(r.now))
		clear(r.records)
		r.revision = 0
		r.snapshot()
		r.pass(time.Second)
		r.state(Cutting)
		r.in(r.m.CutDone(r.now))
		r.pass(time.Second)
		r.state(Live)
		if r.m.parts.count[Held] != 8 || r.records["config"].Value == nil {
			t.Errorf("it holds %d partitions", r.m.parts.count[Held])
		}
		r.took()
		r.put("member.b", r.with(nil)) // with a session that is less than its last one
		r.wants("rate 50")
	}
}

func TestConnectionsAreKeptPastTheDeadlineIfTheyAreToBe(t *testing.T) {
	adrift := func() *rig {
		r := joined(t, func(s *Settings) { s.KeepConnections = true })
		r.hold = true
		r.pass(3 * rigLease)
		r.state(Adrift)
		r.wants("")
		if r.events[len(r.events)-1].Kind != NATSAway {
			t.Errorf("the last event is %v", r.events[len(r.events)-1].Kind)
		}
		return r
	}
	t.Run("until a renewal is done", func(t *testing.T) {
		r := adrift()
		r.hold = false
		r.in(r.m.Written(r.now, "member.a", Lost, 0))
		r.state(Live)
		r.wants("")
		if r.events[len(r.events)-1].Kind != NATSBack {
			t.Errorf("the last event is %v", r.events[len(r.events)-1].Kind)
		}
	})
	t.Run("but not by one that was begun long ago", func(t *testing.T) {
		r := adrift()
		r.finish(r.pending[0])
		r.state(Adrift)
	})
	t.Run("until another member has declared it dead", func(t *testing.T) {
		r := adrift()
		r.put("member.a", nil)
		r.state(Cutting)
		r.wants("cut")
	})
	t.Run("and nothing is handed over meanwhile", func(t *testing.T) {
		r := adrift()
		session := r.put("member.b", r.with(nil))
		r.want(session, ofB(8)...)
		r.pass(time.Second)
		r.wants("rate 50")
	})
	t.Run("and nothing is taken meanwhile", func(t *testing.T) {
		r := adrift()
		r.put("part.3", Partition{Member: "x"})
		r.wants("drain 3")
		r.in(r.m.Ended(r.now, 3))
		r.pass(time.Second)
		if len(r.pending) != 1 {
			t.Errorf("it writes %v", r.pending[1:])
		}
	})
}

func TestAMemberLeaves(t *testing.T) {
	t.Run("before it has joined", func(t *testing.T) {
		r := newRig(t, nil)
		r.in(r.m.Leave(r.now))
		r.state(Left)
		if r.exit == nil || r.exit.Err != nil || len(r.records) > 0 {
			t.Errorf("it ends with %v, and has written %v", r.exit, r.records)
		}
	})
	t.Run("while its record is being created", func(t *testing.T) {
		r := newRig(t, nil)
		r.hold = true
		r.snapshot()
		r.finish(r.pending[0])
		r.in(r.m.Leave(r.now))
		r.state(Erasing)
		r.finish(r.pending[1])
		r.finish(r.pending[2])
		r.state(Left)
		if !r.records["member.a"].Deleted {
			t.Error("its record is left")
		}
	})
	t.Run("alone: it drains, and holds nothing when its record is deleted", func(t *testing.T) {
		r := joined(t, nil)
		r.in(r.m.Leave(r.now))
		r.wants("drain 0, drain 1, drain 2, drain 3, drain 4, drain 5, drain 6, drain 7")
		r.pass(time.Second)
		for p := range 8 {
			r.state(Leaving)
			r.in(r.m.Ended(r.now, p))
		}
		r.state(Left)
		if !r.records["member.a"].Deleted || r.exit.Err != nil {
			t.Errorf("it ends with %v", r.exit)
		}
	})
	t.Run("alone, before its record says so", func(t *testing.T) {
		r := joined(t, nil)
		r.hold = true
		r.in(r.m.Leave(r.now))
		r.wants("drain 0, drain 1, drain 2, drain 3, drain 4, drain 5, drain 6, drain 7")
	})
	t.Run("at once: it cuts", func(t *testing.T) {
		r := joined(t, nil)
		r.in(r.m.Leave(r.now))
		r.took()
		r.in(r.m.Abandon(r.now))
		r.wants("cut")
		r.in(r.m.CutDone(r.now))
		r.state(Left)
		if !r.records["member.a"].Deleted || r.m.counts.losses != 0 {
			t.Error("its record is left, or a loss was counted")
		}
	})
	t.Run("at once, and NATS is away", func(t *testing.T) {
		r := joined(t, nil)
		r.hold = true
		r.in(r.m.Abandon(r.now))
		r.in(r.m.CutDone(r.now))
		r.state(Erasing)
		r.lose(r.pending[0], false)
		r.state(Left)
	})
	t.Run("past its deadline: it cuts, and doesn't join again", func(t *testing.T) {
		r := joined(t, nil)
		r.put("member.b", r.with(nil))
		r.hold = true
		r.in(r.m.Leave(r.now))
		r.pass(rigLease)
		r.state(Cutting)
		r.in(r.m.CutDone(r.now))
		for range 10 {
			for _, w := range slices.Clone(r.pending) {
				r.pending = r.pending[1:]
				r.lose(w, false)
			}
			r.pass(time.Second)
		}
		r.state(Left)
	})
}

func TestALeavingMemberHandsOverAtItsOwnersPace(t *testing.T) {
	r := joined(t, nil)
	r.put("member.b", r.with(nil))
	session := r.records["member.b"].Revision
	r.in(r.m.Leave(r.now))
	r.pass(time.Second)
	r.wants("rate 50")
	if !r.own().Leaving {
		t.Error("its record doesn't say that it leaves")
	}
	r.put("member.b", r.with(func(b *Member) { b.Session, b.Wants = session, []int{2, 5} }))
	r.wants("drain 2, drain 5")
	r.in(r.m.Ended(r.now, 5))
	if got := r.part(5); got.Member != "b" || got.Session != session {
		t.Errorf("partition 5 is %v", got)
	}
	r.put("member.b", nil) // and the rest stays here: nobody is left to take it
	r.wants("rate 100, drain 0, drain 1, drain 3, drain 4, drain 6, drain 7")
	for _, p := range []int{0, 1, 2, 3, 4, 6, 7} {
		r.in(r.m.Ended(r.now, p))
	}
	r.state(Left)
}

func TestARenewalWhoseAnswerIsLostIsTriedAgain(t *testing.T) {
	for _, done := range []bool{false, true} {
		r := joined(t, nil)
		r.hold = true
		for len(r.pending) == 0 {
			r.pass(time.Millisecond)
		}
		w := r.pending[0]
		r.lose(w, done)
		r.hold = false
		r.pass(time.Second)
		r.state(Live)
		if got := r.own().N; got < 2 {
			t.Errorf("the last renewal is %d", got)
		}
		if got := r.m.Deadline() - r.now; got < rigLease-rigMargin-time.Second {
			t.Errorf("the deadline is in %v", got)
		}
	}
}

func TestARenewalIsRefusedBecauseALostOneIsStillToBeDone(t *testing.T) {
	r := joined(t, nil)
	r.hold = true
	for len(r.pending) == 0 {
		r.pass(time.Millisecond)
	}
	first := r.pending[0]
	r.in(r.m.Written(r.now, "member.a", Lost, 0))
	r.pass(time.Second)
	record, _ := r.apply(first) // only now
	r.hold = false
	r.finish(r.pending[1]) // is refused
	r.state(Live)
	r.deliver(record)
	r.pass(time.Second)
	r.state(Live)
	if got := r.own().N; got < 3 {
		t.Errorf("the last renewal is %d", got)
	}
}

func TestManyLostRenewalsTakeNoMemory(t *testing.T) {
	r := joined(t, func(s *Settings) { s.KeepConnections = true })
	r.hold = true
	for range 1000 {
		r.pass(time.Second)
		for _, w := range slices.Clone(r.pending) {
			r.pending = r.pending[1:]
			r.lose(w, false)
		}
	}
	if got := len(r.m.own.begun); got > maxBegun {
		t.Errorf("%d renewals are remembered", got)
	}
	r.hold = false
	r.lose(r.pending[0], false)
	r.pass(time.Second)
	r.state(Live)
}
