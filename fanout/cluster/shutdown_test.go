package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/machine"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
)

func TestAFunctionOfFanoutMayCallShutdown(t *testing.T) {
	s, n := newFeed(t), startNATS(t)
	o := testOptions(s, keysUpTo(20)...)
	o.URL = n.addr()
	member := make(chan *Cluster, 1)
	result := make(chan error, 1)
	o.Fanout.OnDown = func(*fanout.Slot, error, time.Duration) {
		select {
		case c := <-member:
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			result <- c.Shutdown(ctx)
		default:
		}
	}
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	wait(t, c)
	waitUntil(t, "all are connected", func() bool { k, _ := s.Connected(); return k == 20 })
	member <- c
	c.Group().Find("key-0").Reconnect()
	select {
	case err := <-result:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown returned %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("Shutdown waits for the function that has called it")
	}
	checkNoMembers(t, n)
}

// checkNoMembers fails the test if there is a record of a member.
func checkNoMembers(t *testing.T, n *natsServer) {
	t.Helper()
	for _, m := range statusOf(t, Options{URL: n.addr()}).Members {
		if m.ID != silentMember {
			t.Errorf("%s is still a member", m.ID)
		}
	}
}

func TestShutdownWaitsForTheFunctionOfFunc(t *testing.T) {
	s, n := newFeed(t), startNATS(t)
	o := testOptions(s)
	o.URL = n.addr()
	var calls atomic.Int32
	var returned atomic.Bool
	called := make(chan struct{})
	o.Keys = Func(time.Millisecond, func(ctx context.Context) ([]string, error) {
		if calls.Add(1) == 2 {
			close(called)
			<-ctx.Done()
			time.Sleep(50 * time.Millisecond) // it takes its time
			returned.Store(true)
		}
		return nil, nil
	})
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	<-called
	shutdown(t, c)
	if !returned.Load() {
		t.Error("a function goes on after Shutdown has returned")
	}
}

func TestStartWaitsUntilTheKeysAreKnown(t *testing.T) {
	s, n := newFeed(t), startNATS(t)
	o := testOptions(s)
	o.URL = n.addr()
	var calls atomic.Int32
	o.Keys = Func(time.Millisecond, func(context.Context) ([]string, error) {
		if calls.Add(1) < 200 {
			return nil, errors.New("not yet")
		}
		return []string{"k"}, nil
	})
	startMember(t, o)
	if n := calls.Load(); n < 200 {
		t.Errorf("Start has returned after %d calls; the keys are not known", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o.Keys = Func(time.Millisecond, func(context.Context) ([]string, error) {
		cancel()
		return nil, errors.New("not at all")
	})
	if _, err := Start(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("Start returned %v", err)
	}
}

// silentMember is the ID of one that joins, and is never heard of again.
const silentMember = "silent-1"

func TestAStartThatFailsLeavesNoRecord(t *testing.T) {
	s, n := newFeed(t), startNATS(t)
	o := testOptions(s, "k")
	o.URL, o.Lease = n.addr(), 30*time.Second
	conn := connectNATS(t, n.addr())
	bucket, err := store.Open(inTime(t), conn, store.Config{Bucket: bucketOf(DefaultName)})
	if err != nil {
		t.Fatal(err)
	}
	record, _ := json.Marshal(machine.Member{Weight: 1, Lease: o.Lease}) // for it the new member waits
	if _, err := bucket.Create(inTime(t), machine.MemberKey(silentMember), record); err != nil {
		t.Fatal(err)
	}
	updates, err := bucket.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for u := range updates {
			if strings.HasPrefix(u.Key, "member.") && u.Key != machine.MemberKey(silentMember) {
				cancel()
			}
		}
	}()
	if _, err := Start(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("Start returned %v", err)
	}
	checkNoMembers(t, n)
}

func TestABucketThatIsDeletedIsMadeAgain(t *testing.T) {
	s, n := newFeed(t), startNATS(t)
	s.Grace = 30 * time.Second // one member may notice up to its deadline later than the other
	o := testOptions(s, keysUpTo(20)...)
	o.URL, o.FenceHeader = n.addr(), "" // tokens begin anew
	a, b := startMember(t, named(o, "a")), startMember(t, named(o, "b"))
	wait(t, a, b)
	js, err := jetstream.New(connectNATS(t, n.addr()))
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteKeyValue(inTime(t), bucketOf(DefaultName)); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the sessions are lost", func() bool { return a.Stats().Losses > 0 && b.Stats().Losses > 0 })
	waitUntil(t, "there are two members again", func() bool {
		status, err := a.Status(inTime(t))
		return err == nil && len(status.Members) == 2
	})
	wait(t, a, b)
	waitUntil(t, "each is connected again, once", func() bool {
		keys, by := s.Connected()
		return keys == 20 && by["a"]+by["b"] == 20
	})
}

// A curiousLog asks the Cluster for its Stats whenever something is logged.
type curiousLog struct {
	slog.Handler
	cluster *atomic.Pointer[Cluster]
	logged  chan string
}

func (l curiousLog) Enabled(context.Context, slog.Level) bool { return true }
func (l curiousLog) WithAttrs([]slog.Attr) slog.Handler       { return l }

func (l curiousLog) Handle(_ context.Context, r slog.Record) error {
	if c := l.cluster.Load(); c != nil {
		c.Stats()
		select {
		case l.logged <- r.Message:
		default:
		}
	}
	return nil
}

func TestAKeyThatCannotBeConnectedIsLoggedWithoutALock(t *testing.T) {
	s, n := newFeed(t), startNATS(t)
	l := curiousLog{cluster: &atomic.Pointer[Cluster]{}, logged: make(chan string, 100)}
	o := testOptions(s)
	o.URL, o.Logger = n.addr(), slog.New(l)
	c := startMember(t, o)
	wait(t, c)
	l.cluster.Store(c)
	go c.holder.put("", nil) // there can't be a slot with that key
	for deadline := time.After(30 * time.Second); ; {
		select {
		case message := <-l.logged:
			if message == "can't connect a key" {
				return
			}
		case <-deadline:
			t.Fatal("nothing is logged, or Stats waits for it")
		}
	}
}
