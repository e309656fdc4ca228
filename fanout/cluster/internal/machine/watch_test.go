package machine

import (
	"testing"
	"time"
)

func TestAWatchOfThePastChangesNothing(t *testing.T) {
	r := joined(t, nil)
	session := r.put("member.b", r.with(nil))
	p := ofB(8)[0]
	r.want(session, p)
	r.in(r.m.Ended(r.now, p))
	r.took()
	// The new watch begins with the records before b was there.
	r.in(r.m.WatchLost(r.now))
	r.mute = true
	for key, record := range r.records {
		if key != "member.b" && key != partKeyOf(p) {
			r.in(r.m.Watched(r.now, record))
		}
	}
	r.hold = true // the renewal that is to come by
	r.in(r.m.Snapshot(r.now))
	r.wants("")
	if r.m.members.byID["b"] == nil {
		t.Error("b was taken for gone")
	}
	if r.m.watch.state != watchBehind {
		t.Errorf("the watch is %v", r.m.watch.state)
	}
	// Then it catches up.
	r.in(r.m.Watched(r.now, r.records["member.b"]))
	if r.m.watch.state != watchBehind {
		t.Errorf("then it is %v", r.m.watch.state)
	}
	r.in(r.m.Watched(r.now, r.records[partKeyOf(p)]))
	if r.m.watch.state != watchCurrent {
		t.Errorf("at last it is %v", r.m.watch.state)
	}
	r.wants("")
	r.state(Live)
}

func TestAWatchOfThePastMayLeaveOutWhatWasOverwritten(t *testing.T) {
	r := joined(t, nil)
	session := r.put("member.b", r.with(nil))
	b, part := r.records["member.b"], r.records["part.3"]
	renewed := func(b *Member) { b.Session = session }
	r.put("member.b", r.with(renewed))
	r.put("part.3", Partition{Member: "a", Session: r.m.own.session, Ready: true, Token: part.Revision})
	r.took()
	// The new watch begins before that. Before it gets there, b and the partition are written again.
	r.in(r.m.WatchLost(r.now))
	r.mute = true
	r.hold = true
	for key, record := range r.records {
		switch key {
		case "member.b":
			record = b
		case "part.3":
			record = part
		}
		r.in(r.m.Watched(r.now, record))
	}
	r.in(r.m.Snapshot(r.now))
	r.in(r.m.Watched(r.now, Record{Key: "x", Revision: r.revision}))
	if r.m.watch.state != watchCurrent {
		t.Fatalf("the watch is %v", r.m.watch.state)
	}
	r.wants("")
	if r.m.members.byID["b"] == nil {
		t.Error("b was taken for gone")
	}
}

func TestWhatANewWatchDoesNotShowIsGone(t *testing.T) {
	r := joined(t, nil)
	r.put("member.b", r.with(nil))
	r.wants("rate 50")
	r.in(r.m.WatchLost(r.now))
	delete(r.records, "member.b")
	delete(r.records, "part.3")
	r.snapshot()
	r.pass(time.Second)
	r.wants("rate 100, drain 3")
	r.in(r.m.Ended(r.now, 3))
	r.pass(time.Second)
	if got := r.m.parts.all[3].state; got != Held {
		t.Errorf("the partition is %v", got)
	}
}

func TestNothingIsTakenWhileThereIsNoWatch(t *testing.T) {
	r := newRig(t, nil)
	r.backlog = 1000 // after the first partition
	r.snapshot()
	r.state(Live)
	r.in(r.m.WatchLost(r.now))
	r.load(0, 0)
	before := r.own().N
	r.pass(rigLease / 2)
	if got := r.m.parts.count[Held] + r.m.parts.count[Claiming]; got != 1 {
		t.Errorf("%d partitions were taken", got)
	}
	if r.own().N < before+2 {
		t.Error("it doesn't renew")
	}
	r.backlog = 0
	r.snapshot()
	r.pass(time.Second)
	if got := r.m.parts.count[Held]; got != 8 {
		t.Errorf("then %d partitions are held", got)
	}
}

func TestAWatchThatIsDeafIsBegunAnew(t *testing.T) {
	t.Run("it doesn't show a renewal", func(t *testing.T) {
		r := joined(t, nil)
		r.mute = true
		r.pass(rigLease)
		r.wants("")
		r.pass(rigLease / 4)
		r.wants("watch")
		r.state(Live)
	})
	t.Run("it doesn't show what has refused a write", func(t *testing.T) {
		r := joined(t, nil)
		r.put("member.b", r.with(nil))
		r.took()
		delete(r.records, "member.b") // and its marker
		r.pass(rigLease + time.Second)
		r.wants("")
		r.pass(rigLease)
		r.wants("watch, rate 100")
	})
	t.Run("it doesn't show a deletion", func(t *testing.T) {
		r := joined(t, nil)
		r.put("member.b", r.with(nil))
		r.took()
		r.pass(rigLease - 1)
		r.hold = true
		r.pass(1)
		r.hold = false
		for _, w := range r.pending {
			if w.Key == "member.b" {
				r.apply(w)
				r.in(r.m.Written(r.now, w.Key, Accepted, 0))
			} else {
				r.finish(w)
			}
		}
		r.pass(rigLease - 1)
		r.wants("")
		r.pass(time.Second)
		r.wants("watch, rate 100")
	})
	t.Run("it stays behind", func(t *testing.T) {
		r := joined(t, nil)
		r.pass(time.Second)
		r.in(r.m.WatchLost(r.now))
		r.mute = true
		r.in(r.m.Snapshot(r.now))
		r.pass(rigLease - 1)
		r.wants("")
		r.pass(1)
		r.wants("watch")
	})
}
