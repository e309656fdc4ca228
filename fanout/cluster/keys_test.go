package cluster

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
)

func TestKeysThatArePutIntoTheBucketAreConnected(t *testing.T) {
	s := newFeed(t)
	o := testOptions(s)
	o.Dir = t.TempDir()
	o.Keys = Bucket("feeds")
	values := make(chan string, 100)
	o.Fanout.OnConnect = func(_ context.Context, slot *fanout.Slot, _ *websock.Conn) error {
		value, _ := slot.Value().([]byte)
		values <- slot.Key() + "=" + string(value)
		return nil
	}
	c := startMember(t, o)

	js, err := jetstream.New(c.NATS())
	if err != nil {
		t.Fatal(err)
	}
	var bucket jetstream.KeyValue
	waitUntil(t, "there is a bucket", func() bool {
		bucket, err = js.KeyValue(t.Context(), "feeds")
		return err == nil
	})
	put := func(key, value string) {
		t.Helper()
		if _, err := bucket.PutString(inTime(t), Escape(key), value); err != nil {
			t.Fatal(err)
		}
	}
	put("plain", "1")
	put("with space", "2")
	got := []string{<-values, <-values}
	slices.Sort(got)
	if want := []string{"plain=1", "with space=2"}; !slices.Equal(got, want) {
		t.Errorf("connected are %q, want %q", got, want)
	}

	put("plain", "3")
	if got, want := <-values, "plain=3"; got != want {
		t.Errorf("after the value has changed, %q is connected, want %q", got, want)
	}

	if err := bucket.Delete(inTime(t), "plain"); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the key's slot is gone", func() bool { return c.Group().Find("plain") == nil && c.Group().Len() == 1 })
}

func TestEscapedKeysCanBePutIntoABucket(t *testing.T) {
	for _, key := range []string{"", " ", "*", ">", "a.b", ".a", "a..b", "a b", "ä", "=", "\x00", "a/b-c_d"} {
		if back, ok := Unescape(Escape(key)); !ok || back != key {
			t.Errorf("Unescape(Escape(%q)) is %q, %v", key, back, ok)
		}
	}
	if key, ok := Unescape("a=ZZ"); ok {
		t.Errorf("Unescape returned %q for what Escape never returns", key)
	}
}

// A keyList is a keySet that keeps what it is told, as long as it has room.
type keyList chan map[string][]byte

func (l keyList) replace(all map[string][]byte) {
	select {
	case l <- maps.Clone(all):
	default:
	}
}

func (l keyList) put(string, []byte) {}
func (l keyList) remove(string)      {}

func TestFuncIsAskedAgain(t *testing.T) {
	var calls atomic.Int32
	keys := Func(time.Millisecond, func(context.Context) ([]string, error) {
		switch calls.Add(1) {
		case 1:
			return []string{"a"}, nil
		case 2:
			return nil, errors.New("not now")
		}
		return []string{"a", "b"}, nil
	})
	list := make(keyList, 2)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		keys.watch(ctx, &Cluster{}, list)
	}()
	first, second := <-list, <-list
	cancel()
	<-ended
	if len(first) != 1 || len(second) != 2 {
		t.Errorf("the keys were %v, and then %v; an error leaves them as they are", first, second)
	}
}
