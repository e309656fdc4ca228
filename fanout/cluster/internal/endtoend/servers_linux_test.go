package endtoend

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed004e8d11/websock/fanout/cluster"
)

// startWorlds starts two clusters of three members each, one for each value of cluster.Away, on the same
// NATS servers.
func startWorlds(t *testing.T, servers *natsServers, lease time.Duration) (stop, keep *world, journals []*journal) {
	t.Helper()
	stop, keep = newWorld(t), newWorld(t)
	stop.config.Cluster, keep.config.Cluster = "stop", "keep"
	keep.config.Away = cluster.KeepConnections
	for _, w := range []*world{stop, keep} {
		w.config.Lease = lease
		w.config.Keys, w.config.Rate = w.config.Keys/2, w.config.Rate/2
		w.useNATS(servers)
		w.startThree()
		journals = append(journals, w.watchAcks())
		w.sendNumbers()
	}
	return stop, keep, journals
}

// renewals returns the revision of each member's record. ok is false if the servers, which may just have
// started, don't answer.
func (w *world) renewals() (revisions map[string]uint64, ok bool) {
	w.t.Helper()
	js, err := jetstream.New(w.conn)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
	defer cancel()
	stream, err := js.Stream(ctx, bucketOf(w.config.Cluster))
	if err != nil {
		return nil, false
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter("*.*.member.>"))
	if err != nil {
		return nil, false
	}
	revisions = map[string]uint64{}
	for subject := range info.State.Subjects {
		m, err := stream.GetLastMsgForSubject(ctx, subject)
		if err != nil {
			return nil, false
		}
		revisions[subject] = m.Sequence
	}
	return revisions, len(revisions) == len(w.members)
}

// waitForRenewals waits until each member has renewed its record.
func (w *world) waitForRenewals() {
	w.t.Helper()
	var before map[string]uint64
	w.waitUntil("the members have renewed their records", func() bool {
		now, ok := w.renewals()
		if !ok {
			return false
		}
		if before == nil {
			before = now
		}
		for subject, revision := range now {
			if revision == before[subject] {
				return false
			}
		}
		return true
	})
}

// checkUntouched fails the test if a connection was opened or has ended since Reset.
func (w *world) checkUntouched(when string) {
	w.t.Helper()
	if n := len(w.feed.Opened()); n != 0 || !w.complete() {
		keys, _ := w.feed.Connected()
		w.t.Errorf("%s: %s: %d connections were opened, and %d of %d keys are connected", w.config.Cluster, when, n, keys, w.config.Keys)
	}
}

func TestConnectionsOutliveNATSServersThatComeBack(t *testing.T) {
	begin(t)
	servers := startNATS(t, 3)
	stop, keep, journals := startWorlds(t, servers, 2*time.Minute)
	worlds := []*world{stop, keep}

	leader := 0
	led := func() (ok bool) {
		leader, ok = servers.leader(stop.conn, "stop")
		return ok
	}
	stop.waitUntil("the bucket has a leader", led)
	killed := leader
	servers.kill(killed)
	took := stop.waitUntil("the bucket has another leader", led)
	t.Logf("server %d, the leader of the bucket, was killed; server %d was leader %v later", killed, leader, took.Round(time.Millisecond))
	for _, w := range worlds {
		w.waitForRenewals()
		w.checkUntouched("after the leader was killed")
	}
	servers.startAll()

	servers.killAll()
	began := time.Now()
	servers.startAll()
	stop.waitUntil("the bucket has a leader", led)
	t.Logf("all servers were killed and started again; the bucket had a leader %v after they were gone", time.Since(began).Round(time.Millisecond))
	for _, w := range worlds {
		w.waitForRenewals()
		w.checkUntouched("after all servers were killed")
	}
	for _, j := range journals {
		if c := j.check(false); c.missing != 0 {
			t.Errorf("%s: %d messages are missing, but all connections were kept", j.w.config.Cluster, c.missing)
		}
	}
}

func TestNATSIsAwayForLongerThanTheLease(t *testing.T) {
	begin(t)
	servers := startNATS(t, 3)
	stop, keep, journals := startWorlds(t, servers, *leaseFlag)

	servers.killAll()
	took := stop.waitUntil("no key is connected", func() bool { keys, _ := stop.feed.Connected(); return keys == 0 })
	t.Logf("StopConnections: all connections were closed %v after NATS, of a lease of %v", took.Round(time.Millisecond), stop.config.Lease)
	keep.waitUntil("all members are adrift", func() bool {
		for _, p := range keep.members {
			if p.report().State != "adrift" {
				return false
			}
		}
		return true
	})
	if n := len(stop.feed.Opened()); n != 0 {
		t.Errorf("StopConnections: %d connections were opened without NATS", n)
	}

	began := time.Now()
	servers.startAll()
	stop.waitUntil("all members have begun new sessions", func() bool {
		for _, p := range stop.members {
			if r := p.report(); r.Losses == 0 || r.State != "live" {
				return false
			}
		}
		return true
	})
	joined := time.Since(began)
	stop.settle()
	t.Logf("StopConnections: all were members again %v after the servers' start began, and held all keys after %v", joined.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	stop.checkSpread()
	stop.checkRate()
	keep.waitForRenewals()
	keep.settle()
	keep.checkUntouched("after NATS was away")
	for _, j := range journals {
		j.check(false)
	}
}
