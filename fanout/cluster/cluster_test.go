package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/feed"
)

func keysUpTo(n int) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprintf("key-%d", i))
	}
	return keys
}

func TestEachKeyIsConnectedByOneMember(t *testing.T) {
	s := newFeed(t)
	o := testOptions(s, keysUpTo(300)...)
	o.Dir = t.TempDir()
	a := startMember(t, named(o, "a"))
	wait(t, a)
	waitUntil(t, "all are connected", func() bool { n, _ := s.Connected(); return n == 300 })

	b := startMember(t, named(o, "b"))
	wait(t, a, b)
	waitUntil(t, "b has its share", func() bool {
		ofA, ofB := a.Stats(), b.Stats()
		return ofA.Moving+ofB.Moving == 0 && ofB.Held > 0 && ofA.Held+ofB.Held == testPartitions
	})
	c := startMember(t, named(o, "c"))
	wait(t, a, b, c)
	waitUntil(t, "all are connected again, by three", func() bool {
		n, by := s.Connected()
		return n == 300 && by["a"]+by["b"]+by["c"] == 300 && by["a"] > 0 && by["b"] > 0 && by["c"] > 0
	})
	if a.Stats().Claimed != testPartitions || b.Stats().Claimed != 0 {
		t.Errorf("a claimed %d and b %d; a was first, and gave partitions to b", a.Stats().Claimed, b.Stats().Claimed)
	}
	for key, holders := range holdersOf(s) {
		if holders[0] != "a" || len(slices.Compact(slices.Sorted(slices.Values(holders)))) != len(holders) {
			t.Errorf("%s was held by %v: it may move only to a member that has joined", key, holders)
		}
	}

	shutdown(t, b)
	wait(t, a, c)
	waitUntil(t, "the others have what b had", func() bool {
		n, by := s.Connected()
		return n == 300 && by["b"] == 0
	})
}

// holdersOf returns the members that have connected each key, in order.
func holdersOf(s *feed.Server) map[string][]string {
	holders := map[string][]string{}
	for _, r := range s.History() {
		holders[r.Key] = append(holders[r.Key], r.Member)
	}
	return holders
}

func TestTheKeysOfAMemberThatDiesAreTakenOver(t *testing.T) {
	s := newFeed(t)
	o := testOptions(s, keysUpTo(100)...)
	o.Dir, o.Lease = t.TempDir(), shortLease
	a := startMember(t, named(o, "a"))
	b := startMember(t, named(o, "b"))
	wait(t, a, b)
	die(b)
	wait(t, a)
	waitUntil(t, "a has all keys", func() bool { _, by := s.Connected(); return by["a"] == 100 })
	if n := a.Stats().Takeover.Count; n == 0 {
		t.Error("no takeover was counted")
	}
}

func TestStartRefusesOtherSettings(t *testing.T) {
	s := newFeed(t)
	o := testOptions(s, "k")
	o.Dir = t.TempDir()
	startMember(t, o)
	o.Partitions = 32
	if _, err := Start(inTime(t), o); !errors.Is(err, ErrOtherSettings) {
		t.Errorf("Start with other Partitions returned %v", err)
	}
}

func TestSettingsOfMembersThatHaveEndedAreReplaced(t *testing.T) {
	s := newFeed(t)
	o := testOptions(s, "k")
	o.Dir = t.TempDir()
	shutdown(t, startMember(t, o))
	o.Partitions, o.Lease = 32, 10*time.Second
	wait(t, startMember(t, o))
	waitUntil(t, "the key is connected again", func() bool { n, _ := s.Connected(); return n == 1 })
}

// die ends a member's process as far as the others can see.
func die(c *Cluster) {
	c.stop()
	<-c.ran
}

func TestWithAnOverlapAKeyThatMovesIsNeverDown(t *testing.T) {
	s := newFeed(t)
	s.Grace = 20 * time.Second
	var mu sync.Mutex
	up, moved := map[string]int{}, 0 // connections of each key
	change := func(key string, by int) {
		mu.Lock()
		defer mu.Unlock()
		if up[key] += by; by < 0 {
			moved++
			if up[key] == 0 {
				t.Errorf("%s has no connection", key)
			}
		}
	}
	o := testOptions(s, keysUpTo(200)...)
	o.Dir, o.Overlap = t.TempDir(), 10*time.Second
	o.Fanout.OnConnect = func(_ context.Context, slot *fanout.Slot, _ *websock.Conn) error {
		change(slot.Key(), 1)
		return nil
	}
	moving := true
	o.Fanout.OnDown = func(slot *fanout.Slot, _ error, _ time.Duration) {
		mu.Lock()
		counts := moving
		mu.Unlock()
		if counts {
			change(slot.Key(), -1)
		}
	}
	a := startMember(t, named(o, "a"))
	wait(t, a)
	waitUntil(t, "all are connected", func() bool { n, _ := s.Connected(); return n == 200 })
	b := startMember(t, named(o, "b"))
	wait(t, a, b)
	waitUntil(t, "a has closed its connections", func() bool { _, by := s.Connected(); return by["a"]+by["b"] == 200 && by["b"] > 0 })
	mu.Lock()
	moving = false
	if moved == 0 {
		t.Error("no key has moved")
	}
	mu.Unlock()
	die(a) // to leave takes as long as the Overlap
	die(b)
}
