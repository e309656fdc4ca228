package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/store/storetest"
)

func TestAServerIsRestartedUnderAWatch(t *testing.T) {
	s := oneServer(t)
	b := open(t, connect(t, s.address()), store.Config{Bucket: "b"})
	revision := create(t, b, "k", "1")
	updates := watching(t, b)
	storetest.Records(t, updates)
	s.stop()
	storetest.Ends(t, updates)
	s.start()
	if got := storetest.Records(t, watching(t, b))["k"]; got.Revision != revision || string(got.Value) != "1" {
		t.Errorf("after the restart: %+v", got)
	}
	if next := updateSoon(t, b, "k", "2", revision); next <= revision {
		t.Errorf("revision %d after %d", next, revision)
	}
}

func TestTheLeaderOfThreeServersStops(t *testing.T) {
	servers := threeServers(t)
	c := store.Config{Bucket: "b", Replicas: 3}
	first := open(t, connect(t, servers[0].address()), c)
	revision := create(t, first, "k", "0")
	for round := 1; round <= 2; round++ {
		var stopped int
		waitUntil(t, "a leader", func() bool { stopped = leader(servers, "b"); return stopped >= 0 })
		other := servers[(stopped+1)%len(servers)]
		b := open(t, connect(t, other.address()), c)
		updates := watching(t, b)
		storetest.Records(t, updates)
		servers[stopped].stop()

		value := fmt.Sprint(round)
		next := updateSoon(t, b, "k", value, revision)
		if next <= revision {
			t.Errorf("revision %d after %d", next, revision)
		}
		revision = next
		// The watch shows the write, or it ends and the next one does.
		for seen := false; !seen; {
			select {
			case u, ok := <-updates:
				if !ok {
					updates = watching(t, b)
				}
				seen = u.Revision == revision && string(u.Value) == value
			case <-time.After(patience):
				t.Fatal("the watch doesn't show the write, and doesn't end")
			}
		}
		servers[stopped].start()
	}
}

func TestAConnectionIsCutInTheMiddleOfAWrite(t *testing.T) {
	s := oneServer(t)
	p := newProxy(t, s.address())
	c := store.Config{Bucket: "b"}
	cut := open(t, connect(t, p.address()), c)
	other := open(t, connect(t, s.address()), c)
	revision := create(t, cut, "k", "1")
	mine, seen := watching(t, cut), watching(t, other)
	storetest.Records(t, mine)
	storetest.Records(t, seen)

	p.hold()
	failed := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := cut.Update(ctx, "k", []byte("2"), revision)
		failed <- err
	}()
	written := storetest.Next(t, seen)
	if string(written.Value) != "2" {
		t.Fatalf("got %+v", written)
	}
	p.cut()
	if err := <-failed; !errors.Is(err, nats.ErrDisconnected) {
		t.Errorf("the answer was lost, and Update returned %v", err)
	}
	storetest.Ends(t, mine)
	if got := storetest.Records(t, watching(t, cut))["k"]; got.Revision != written.Revision {
		t.Errorf("the next watch has %+v, want revision %d", got, written.Revision)
	}
	if _, err := cut.Update(inTime(t), "k", []byte("3"), revision); !errors.Is(err, store.ErrConflict) {
		t.Errorf("again with the old revision: %v", err)
	}
}

// A connection on which nothing comes any more, but which isn't closed, ends the watch, too.
func TestAWatchEndsWhenNothingComes(t *testing.T) {
	s := oneServer(t)
	p := newProxy(t, s.address())
	b := open(t, connect(t, p.address()), store.Config{Bucket: "b"})
	updates := watching(t, b)
	storetest.Records(t, updates)
	p.hold()
	storetest.Ends(t, updates)
}

func TestABucketThatIsRemovedIsMadeAgainByTheNextWatch(t *testing.T) {
	nc := connect(t, oneServer(t).address())
	b := open(t, nc, store.Config{Bucket: "b"})
	updates := watching(t, b)
	storetest.Records(t, updates)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteKeyValue(inTime(t), "b"); err != nil {
		t.Fatal(err)
	}
	storetest.Ends(t, updates)
	waitUntil(t, "a watch finds that the bucket is gone", func() bool {
		_, err := b.Watch(t.Context())
		return errors.Is(err, jetstream.ErrStreamNotFound)
	})
	if _, err := js.Stream(inTime(t), "KV_b"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("the server may still be deleting the bucket: %v", err)
	}
	updates = watching(t, b)
	if all := storetest.Records(t, updates); len(all) != 0 {
		t.Errorf("the bucket that was made again has %v", all)
	}
	if _, err := b.Create(inTime(t), "k", nil); err != nil {
		t.Error(err)
	}
}

func TestAWatchEndsWithTheConnection(t *testing.T) {
	s := oneServer(t)
	nc := connect(t, s.address())
	b := open(t, nc, store.Config{Bucket: "b"})
	updates := watching(t, b)
	storetest.Records(t, updates)
	nc.Close()
	storetest.Ends(t, updates)
	if _, err := b.Watch(t.Context()); !errors.Is(err, nats.ErrDisconnected) {
		t.Errorf("watch: %v", err)
	}
}

func TestAWatchThatIsOverLeavesNoConsumer(t *testing.T) {
	nc := connect(t, oneServer(t).address())
	b := open(t, nc, store.Config{Bucket: "b"})
	ctx, cancel := context.WithCancel(t.Context())
	updates, err := b.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Records(t, updates)
	cancel()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(inTime(t), "KV_b")
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the consumer is gone", func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Consumers == 0
	})
}
