package cluster

import (
	"testing"
	"time"
)

func TestConnectionsAreStoppedBeforeTheLeaseEndsIfNATSIsAway(t *testing.T) {
	s, n := newFeed(t), startNATS(t)
	o := testOptions(s, keysUpTo(40)...)
	o.URL, o.Lease = n.addr(), shortLease
	a, b := startMember(t, named(o, "a")), startMember(t, named(o, "b"))
	wait(t, a, b)
	waitUntil(t, "all are connected", func() bool { k, _ := s.Connected(); return k == 40 })
	opened := len(s.Opened())

	n.stop()
	waitUntil(t, "no key is connected", func() bool { k, _ := s.Connected(); return k == 0 })
	if _, held := a.Token("key-0"); held {
		t.Error("a says that it holds a key, without a lease")
	}
	if n := len(s.Opened()); n != opened {
		t.Errorf("%d connections were opened without a lease", n-opened)
	}

	n.start()
	waitUntil(t, "all are connected again", func() bool { k, _ := s.Connected(); return k == 40 })
	if a.Stats().Losses == 0 || b.Stats().Losses == 0 {
		t.Errorf("sessions lost: %d and %d, want one each", a.Stats().Losses, b.Stats().Losses)
	}
}

func TestConnectionsAreKeptWhileNATSIsAwayForEverybody(t *testing.T) {
	s, n := newFeed(t), startNATS(t)
	o := testOptions(s, keysUpTo(40)...)
	o.URL, o.Lease, o.Away = n.addr(), shortLease, KeepConnections
	a, b := startMember(t, named(o, "a")), startMember(t, named(o, "b"))
	wait(t, a, b)
	waitUntil(t, "all are connected", func() bool { k, _ := s.Connected(); return k == 40 })
	opened := len(s.Opened())

	n.stop()
	waitUntil(t, "both are adrift", func() bool { return a.Stats().State == "adrift" && b.Stats().State == "adrift" })
	if _, held := a.member.Holds(heldBy(a)); !held {
		t.Error("a says that it doesn't hold a partition that it keeps")
	}
	n.start()
	waitUntil(t, "both are live", func() bool { return a.Stats().State == "live" && b.Stats().State == "live" })
	wait(t, a, b)
	if k, _ := s.Connected(); k != 40 || len(s.Opened()) != opened {
		t.Errorf("%d of 40 keys are connected, and %d connections were opened anew", k, len(s.Opened())-opened)
	}
	if a.Stats().Losses != 0 || b.Stats().Losses != 0 {
		t.Error("a session was lost")
	}
}

// heldBy returns a partition that is connected by a member.
func heldBy(c *Cluster) int {
	for n := range c.options.Partitions {
		if _, held := c.member.Holds(n); held {
			return n
		}
	}
	return 0
}

func TestAMemberThatLosesItsSessionJoinsAgain(t *testing.T) {
	s := newFeed(t)
	o := testOptions(s, keysUpTo(40)...)
	o.Dir = t.TempDir()
	a, b := startMember(t, named(o, "a")), startMember(t, named(o, "b"))
	wait(t, a, b)
	session := b.Stats().Session
	status, err := a.Status(inTime(t))
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the record of b is deleted", func() bool { // it is renewed all the time
		entry, err := lastRevision(t, a, b.ID())
		return err == nil && a.bucket.Delete(t.Context(), "member."+b.ID(), entry) == nil
	})
	waitUntil(t, "b has another session", func() bool { now := b.Stats().Session; return now != 0 && now != session })
	wait(t, a, b)
	waitUntil(t, "all are connected again", func() bool {
		k, by := s.Connected()
		return k == 40 && by["b"] > 0
	})
	if again, err := a.Status(inTime(t)); err != nil || len(again.Members) != len(status.Members) {
		t.Errorf("the members are %+v, %v", again.Members, err)
	}
}

// lastRevision returns the revision of a member's record.
func lastRevision(t *testing.T, c *Cluster, id string) (revision uint64, err error) {
	updates, err := c.bucket.Watch(t.Context())
	if err != nil {
		return 0, err
	}
	for deadline := time.After(patience); ; {
		select {
		case u := <-updates:
			switch u.Key {
			case "":
				return revision, nil
			case "member." + id:
				revision = u.Revision
			}
		case <-deadline:
			t.Fatal("the watch has no end")
		}
	}
}
