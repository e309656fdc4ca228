package endtoend

import (
	"testing"
	"time"

	"github.com/seed004e8d11/websock/fanout/cluster"
)

// startThree starts three members, which share the keys.
func startThree(t *testing.T) *world {
	t.Helper()
	begin(t)
	w := newWorld(t)
	w.useFlag()
	w.startThree()
	return w
}

// startThree starts three members, which share the keys.
func (w *world) startThree() {
	w.t.Helper()
	began := time.Now()
	w.start("a", "b", "c")
	w.settle()
	w.t.Logf("three members hold %d keys %v after the start", w.config.Keys, time.Since(began).Round(time.Millisecond))
	w.checkSpread()
	w.checkRate()
	w.feed.Reset()
}

func TestKeysOfAKilledMemberAreTakenOver(t *testing.T) {
	w := startThree(t)
	j := w.watchAcks()
	w.sendNumbers()
	lost := w.held("a") // which was first: if they share a server, it runs in its process
	killed := time.Now()
	w.kill("a")
	w.waitUntil("the others have its keys", w.complete)
	w.checkTook("the takeover", time.Since(killed), w.config.Lease+2*time.Second+w.timeFor(lost))
	w.checkRate()
	w.logOverlap()

	w.start("a")
	w.settle()
	w.checkSpread()
	j.check(false)
}

func TestAMemberThatWasPausedUsesNoKeyThatOthersHave(t *testing.T) {
	w := startThree(t)
	j := w.watchAcks()
	w.sendNumbers()
	lost := w.held("b")
	paused := time.Now()
	w.pause("b")
	w.waitUntil("the others have its keys", func() bool { return w.held("a")+w.held("c") == w.config.Keys })
	w.checkTook("the takeover", time.Since(paused), w.config.Lease+2*time.Second+w.timeFor(lost))
	if n := w.held("b"); n != lost {
		t.Errorf("%d of %d connections of the member that is paused are open; it can't have closed them", n, lost)
	}
	w.askForEchoes() // on all connections, also those of the one that is paused
	w.waitUntil("the others have answered", func() bool { return w.feed.Received() == w.config.Keys })
	w.sendThroughNATS() // which has subscriptions of both
	w.waitUntil("the others have sent what came from NATS", func() bool { return w.feed.Received() == 2*w.config.Keys })
	w.resume("b")
	w.waitUntil("it is a member again", func() bool {
		r := w.members["b"].report()
		return r.Losses > 0 && r.State == "live"
	})
	w.settle()
	w.feed.SetPaused("b", false)
	w.askForEchoes()
	w.waitUntil("all have answered, and no connection that is over", func() bool { return w.feed.Received() >= 3*w.config.Keys })
	if n := w.feed.Received() - 3*w.config.Keys; n > 0 {
		t.Errorf("the member that was paused has sent %d messages when it woke", n)
	}
	w.checkSpread()
	w.checkRate()
	j.check(true)
}

func TestARollingRestartMovesEachKeyInAnOrderlyWay(t *testing.T) {
	begin(t)
	w := newWorld(t)
	w.useFlag()
	w.config.Lease = max(w.config.Lease, 30*time.Second) // nobody waits for its end
	w.startThree()
	j := w.watchAcks()
	w.sendNumbers()
	began := time.Now()
	for _, name := range []string{"a", "b", "c"} {
		left := time.Now()
		w.leave(name)
		w.settle()
		gone := time.Now()
		w.start(name)
		w.settle()
		t.Logf("%s left within %v and came back within %v", name, gone.Sub(left).Round(time.Millisecond), time.Since(gone).Round(time.Millisecond))
	}
	t.Logf("the restart of all took %v, with %d new connections", time.Since(began).Round(time.Millisecond), len(w.feed.Opened()))
	w.checkSpread()
	w.checkRate()
	w.checkDown()
	w.logOverlap()
	c := j.check(false)

	// The feed may also have accepted an attempt that was aborted because its key moved.
	opened, seen := w.sum(func(r memberReport) uint64 { return r.Opened }), uint64(len(w.feed.History()))
	attempts := w.sum(func(r memberReport) uint64 { return r.Attempts })
	if seen < opened || seen > attempts {
		t.Errorf("the members have opened %d connections with %d attempts, but the feed has seen %d", opened, attempts, seen)
	}
	published := w.sum(func(r memberReport) uint64 { return r.Publish.Published })
	dropped := w.sum(func(r memberReport) uint64 { return sumOf(r.Publish.Dropped) })
	received := w.sum(func(r memberReport) uint64 { return r.Publish.Received })
	t.Logf("received %d messages, published %d, dropped %d", received, published, dropped)
	if received != published+dropped {
		t.Error("the counts don't add up")
	}
	if stored := uint64(c.stored); stored < published || stored > published+dropped {
		t.Errorf("%d messages are stored, but %d published and %d dropped", stored, published, dropped)
	}
	if losses := w.sum(func(r memberReport) uint64 { return r.Losses }); losses != 0 {
		t.Errorf("%d sessions were lost", losses)
	}
}

func sumOf(counts map[cluster.DropReason]uint64) (sum uint64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}
