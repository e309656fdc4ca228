package cluster

import (
	"context"
	"log/slog"
	"time"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/assign"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
)

// Keys is the set of keys that a cluster keeps connected: that of Static, Func or Bucket. All members
// need the same set.
type Keys interface {
	// watch tells set of the keys, and of each change, until ctx ends.
	watch(ctx context.Context, c *Cluster, set keySet)
}

// A keySet is told of keys and their values. Its methods are called by one goroutine at a time.
type keySet interface {
	replace(all map[string][]byte) // by these keys, and no others; the callee doesn't change it
	put(key string, value []byte)
	remove(key string)
}

// Static returns a set of keys that doesn't change.
func Static(keys ...string) Keys {
	all := make(map[string][]byte, len(keys))
	for _, key := range keys {
		all[key] = nil
	}
	return staticKeys(all)
}

type staticKeys map[string][]byte

func (k staticKeys) watch(_ context.Context, _ *Cluster, set keySet) { set.replace(k) }

// Func returns the set of keys that f returns. It is called when the Cluster starts, and again every
// time that a period has passed since it returned. If it returns an error, which is logged, the keys stay
// as they are; Start waits until it has returned keys once. Its context ends in Cluster.Shutdown, when the keys have been handed over. Members that get
// different sets keep those connected of which the holder of their partition knows.
func Func(period time.Duration, f func(ctx context.Context) ([]string, error)) Keys {
	return &funcKeys{max(period, time.Millisecond), f}
}

type funcKeys struct {
	period time.Duration
	f      func(context.Context) ([]string, error)
}

func (k *funcKeys) watch(ctx context.Context, c *Cluster, set keySet) {
	for ctx.Err() == nil {
		switch keys, err := k.f(ctx); {
		case err != nil && ctx.Err() == nil:
			c.log(slog.LevelWarn, "can't get the keys", slog.Any("error", err))
		case err == nil:
			Static(keys...).watch(ctx, c, set)
		}
		sleep(ctx, k.period)
	}
}

// Bucket returns the keys of a bucket of JetStream's key-value store. Put a key into it, with any program,
// and one of the members connects it; delete it, and the connection is closed. Slot.Value is the key's
// value, a []byte that nobody may change. When a key is put again with another value, its slot gets that,
// and reconnects.
//
// If the bucket doesn't exist, a member makes it, soon after Start: a program that puts keys before that
// has to make it itself. Its keys can't have every character: put the key as Escape returns it.
func Bucket(name string) Keys { return bucketKeys(name) }

type bucketKeys string

// Escape returns a key as it stands in subjects, after "rx." or "tx.", and in the Bucket of keys. Letters,
// digits, '-', '_', '/' and single dots inside stay as they are; every other byte becomes '=' and two
// hexadecimal digits.
func Escape(key string) string { return assign.Escape(key) }

// Unescape returns the key for which Escape returns this; ok is false if there is none.
func Unescape(escaped string) (key string, ok bool) { return assign.Unescape(escaped) }

func (k bucketKeys) watch(ctx context.Context, c *Cluster, set keySet) {
	for ctx.Err() == nil {
		if err := k.watchOnce(ctx, c, set); err != nil && ctx.Err() == nil {
			c.log(slog.LevelWarn, "can't watch the bucket of keys", slog.String("bucket", string(k)), slog.Any("error", err))
		}
		sleep(ctx, time.Second)
	}
}

// watchOnce watches the bucket until the connection to NATS is lost. Meanwhile and until it is watched
// again, the keys stay as they are.
func (k bucketKeys) watchOnce(ctx context.Context, c *Cluster, set keySet) error {
	s, err := store.Open(ctx, c.nats.conn, store.Config{
		Bucket:      string(k),
		Replicas:    c.nats.replicas,
		AnySettings: true,
		Logger:      c.options.Logger,
	})
	if err != nil {
		return err
	}
	updates, err := s.Watch(ctx)
	if err != nil {
		return err
	}
	all := map[string][]byte{} // nil: they have been delivered
	for u := range updates {
		key, ok := assign.Unescape(u.Key)
		switch {
		case u.Key == "":
			set.replace(all)
			all = nil
		case !ok:
			c.log(slog.LevelWarn, "a key of the bucket can't be one, and is ignored: see Escape", slog.String("key", u.Key))
		case all != nil && u.Deleted:
			delete(all, key)
		case all != nil:
			all[key] = u.Value
		case u.Deleted:
			set.remove(key)
		default:
			set.put(key, u.Value)
		}
	}
	return nil
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
