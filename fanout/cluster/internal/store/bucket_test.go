package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/store/storetest"
)

func TestABucketOfOneServerIsAStore(t *testing.T) {
	s := oneServer(t)
	buckets := 0
	storetest.Run(t, func(t *testing.T) (a, b store.Store) {
		buckets++
		c := store.Config{Bucket: fmt.Sprint("suite", buckets)}
		return open(t, connect(t, s.address()), c), open(t, connect(t, s.address()), c)
	})
}

func TestABucketOfThreeServersIsAStore(t *testing.T) {
	servers := threeServers(t)
	buckets := 0
	storetest.Run(t, func(t *testing.T) (a, b store.Store) {
		buckets++
		c := store.Config{Bucket: fmt.Sprint("suite", buckets), Replicas: 3}
		return open(t, connect(t, servers[0].address()), c), open(t, connect(t, servers[1].address()), c)
	})
}

func TestMembersCreateABucketAtOnce(t *testing.T) {
	s := oneServer(t)
	var wg sync.WaitGroup
	for range 8 {
		nc := connect(t, s.address())
		wg.Go(func() {
			if _, err := store.Open(inTime(t), nc, store.Config{Bucket: "b"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestOpenRefusesABucketThatBreaksThePromises(t *testing.T) {
	nc := connect(t, oneServer(t).address())
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		setting string
		bucket  jetstream.KeyValueConfig
	}{
		{"TTL", jetstream.KeyValueConfig{Bucket: "a", TTL: time.Minute, LimitMarkerTTL: time.Minute}},
		{"LimitMarkerTTL", jetstream.KeyValueConfig{Bucket: "b"}},
		{"storage", jetstream.KeyValueConfig{Bucket: "c", LimitMarkerTTL: time.Minute, Storage: jetstream.MemoryStorage}},
	} {
		if _, err := js.CreateKeyValue(inTime(t), test.bucket); err != nil {
			t.Fatal(err)
		}
		c := store.Config{Bucket: test.bucket.Bucket}
		_, err := store.Open(inTime(t), nc, c)
		var settings *store.SettingsError
		if !errors.As(err, &settings) || settings.Setting != test.setting || settings.Bucket != c.Bucket {
			t.Errorf("%s: %v", test.setting, err)
		}
		c.AnySettings = true
		if _, err := store.Open(inTime(t), nc, c); err != nil {
			t.Errorf("%s, and any settings are accepted: %v", test.setting, err)
		}
	}
}

func TestOpenAcceptsMoreReplicasAndHistory(t *testing.T) {
	nc := connect(t, threeServers(t)[0].address())
	open(t, nc, store.Config{Bucket: "warm", Replicas: 3}) // JetStream is ready on all servers
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	has := jetstream.KeyValueConfig{Bucket: "b", Replicas: 3, History: 5, LimitMarkerTTL: time.Minute}
	if _, err := js.CreateKeyValue(inTime(t), has); err != nil {
		t.Fatal(err)
	}
	open(t, nc, store.Config{Bucket: "b", Replicas: 1})
}

func TestOpenSaysWhatNATSLacks(t *testing.T) {
	t.Run("JetStream", func(t *testing.T) {
		s := newServer(t, server.Options{})
		s.start()
		_, err := store.Open(t.Context(), connect(t, s.address()), store.Config{Bucket: "b"})
		if !errors.Is(err, store.ErrNoJetStream) {
			t.Error(err)
		}
	})
	t.Run("Replicas", func(t *testing.T) {
		_, err := store.Open(t.Context(), connect(t, oneServer(t).address()), store.Config{Bucket: "b", Replicas: 3})
		if !errors.Is(err, store.ErrNoReplicas) {
			t.Error(err)
		}
	})
	t.Run("Name", func(t *testing.T) {
		_, err := store.Open(t.Context(), connect(t, oneServer(t).address()), store.Config{Bucket: "a b"})
		if !errors.Is(err, jetstream.ErrInvalidBucketName) {
			t.Error(err)
		}
	})
	t.Run("Server", func(t *testing.T) {
		s := oneServer(t)
		nc := connect(t, s.address())
		s.stop()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if _, err := store.Open(ctx, nc, store.Config{Bucket: "b"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestOpenWaitsForServersToComeUp(t *testing.T) {
	s := oneServer(t)
	nc := connect(t, s.address())
	s.stop()
	var starting sync.WaitGroup
	starting.Go(func() {
		time.Sleep(300 * time.Millisecond) // Open has failed by then, most likely
		s.start()
	})
	open(t, nc, store.Config{Bucket: "b"})
	starting.Wait()
}

func TestMarkersOfDeletedKeysGoAway(t *testing.T) {
	nc := connect(t, oneServer(t).address())
	b := open(t, nc, store.Config{Bucket: "b", MarkerTTL: time.Second})
	const keys = 1000
	for i := range keys {
		key := fmt.Sprint("member.", i)
		if err := b.Delete(inTime(t), key, create(t, b, key, "x")); err != nil {
			t.Fatal(err)
		}
	}
	kept := create(t, b, "kept", "x")
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(inTime(t), "KV_b")
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "all markers are gone", func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Msgs == 1
	})
	got := storetest.Records(t, watching(t, b))
	if len(got) != 1 || got["kept"].Revision != kept {
		t.Errorf("records %v", got)
	}
	if again := create(t, b, "member.0", "y"); again <= kept {
		t.Errorf("a key whose marker is gone is created with revision %d, after %d", again, kept)
	}
}

// The bucket of a Keys is somebody else's, and large.
func TestAWatchOf100000Keys(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 100,000 keys")
	}
	nc := connect(t, oneServer(t).address())
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.CreateKeyValue(inTime(t), jetstream.KeyValueConfig{Bucket: "keys", History: 3})
	if err != nil {
		t.Fatal(err)
	}
	const keys = 100_000
	for i := range keys {
		if _, err := js.PublishAsync(fmt.Sprint("$KV.keys.k", i), fmt.Append(nil, i), jetstream.WithStallWait(patience)); err != nil {
			t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	if _, err := kv.Put(inTime(t), "k7", []byte("new")); err != nil {
		t.Fatal(err)
	}
	if err := kv.Delete(inTime(t), "k8"); err != nil {
		t.Fatal(err)
	}
	b := open(t, nc, store.Config{Bucket: "keys", AnySettings: true})
	// Half of the keys are written while the watch begins.
	writing, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 10; i < keys/2 && writing.Err() == nil; i++ {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			if _, err := kv.Put(ctx, fmt.Sprint("k", i), []byte("again")); err != nil {
				t.Error(err)
			}
			cancel()
		}
	})
	began := time.Now()
	updates := watching(t, b)
	got := storetest.Records(t, updates)
	t.Logf("%d keys in %v", len(got), time.Since(began))
	stop()
	wg.Wait()
	if len(got) != keys-1 || string(got["k7"].Value) != "new" || string(got["k99999"].Value) != "99999" {
		t.Errorf("%d keys, %q, %q", len(got), got["k7"].Value, got["k99999"].Value)
	}
	if err := kv.Delete(inTime(t), "k9"); err != nil {
		t.Fatal(err)
	}
	for {
		if u := storetest.Next(t, updates); u.Key == "k9" {
			if !u.Deleted {
				t.Errorf("got %+v", u)
			}
			break
		}
	}
}

func TestAnInvalidKeyIsNoConflict(t *testing.T) {
	b := open(t, connect(t, oneServer(t).address()), store.Config{Bucket: "b"})
	if _, err := b.Create(t.Context(), "a b", nil); !errors.Is(err, jetstream.ErrInvalidKey) {
		t.Error(err)
	}
}

func TestWritesFailAtOnceWhileTheConnectionIsLost(t *testing.T) {
	s := oneServer(t)
	nc := connect(t, s.address())
	b := open(t, nc, store.Config{Bucket: "b"})
	revision := create(t, b, "k", "1")
	s.stop()
	waitUntil(t, "the loss is noticed", func() bool { return !nc.IsConnected() })
	if _, err := b.Update(t.Context(), "k", []byte("2"), revision); !errors.Is(err, nats.ErrDisconnected) {
		t.Errorf("update: %v", err)
	}
	if err := b.Delete(t.Context(), "k", revision); !errors.Is(err, nats.ErrDisconnected) {
		t.Errorf("delete: %v", err)
	}
	if _, err := b.Watch(t.Context()); !errors.Is(err, nats.ErrDisconnected) {
		t.Errorf("watch: %v", err)
	}
	s.start()
	if got := storetest.Records(t, watching(t, b)); string(got["k"].Value) != "1" {
		t.Errorf("records %v: a write that failed was sent later", got)
	}
}
