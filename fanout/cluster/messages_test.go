package cluster

import (
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/transport/epoll"
)

// TestMessagesOfMovingKeysAreInOrder has a server send numbers to all keys all the time, while a member
// joins and another one leaves.
func TestMessagesOfMovingKeysAreInOrder(t *testing.T) {
	const final = "1000000"
	n, server, keys := startNATS(t), startPeer(t), keysUpTo(40)
	var received, finals atomic.Uint64
	o := Options{
		Name:       "test",
		URL:        "nats://" + n.addr(),
		Keys:       Static(keys...),
		Partitions: testPartitions,
		Lease:      20 * time.Second,
		Rate:       2000,
		Receive:    true,
		Publish:    Publish{To: ToJetStream, FlushTimeout: patience, Stream: &jetstream.StreamConfig{AllowBatchPublish: true}},
		Fanout: fanout.Options{
			Choose: func(s *fanout.Slot) fanout.Target {
				return fanout.Target{
					URL:    server.http.URL + "/" + s.Key(),
					Config: websock.Config{Transport: epoll.Transport()},
				}
			},
			OnMessage: func(_ *fanout.Slot, _ websock.Opcode, msg []byte) {
				received.Add(1)
				if string(msg) == final {
					finals.Add(1)
				}
			},
		},
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 1; ; i++ {
			for _, key := range keys {
				_ = server.send(key, []byte(strconv.Itoa(i))) // what a closed connection doesn't take is left out
			}
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond): // so that no key waits long until its messages are published
			}
		}
	}()

	a := startMember(t, o)
	wait(t, a)
	b := startMember(t, o)
	wait(t, a, b)
	if b.Group().Len() == 0 {
		t.Error("b has got no keys")
	}
	for _, c := range []*Cluster{a, b} { // whoever holds the key
		for _, key := range keys {
			waitUntil(t, key+" is up, and subscribed", func() bool {
				err := c.Send(inTime(t), key, websock.OpText, []byte(c.ID()))
				if err != nil && !errors.Is(err, fanout.ErrDown) && !errors.Is(err, ErrNobody) {
					t.Fatalf("%s to %s: %v", c.ID(), key, err)
				}
				return err == nil
			})
		}
	}
	shutdown(t, a)
	published := a.Stats().Publish
	wait(t, b)
	close(stop)
	<-stopped
	for _, key := range keys {
		waitUntil(t, "the server knows the connection of b", func() bool { return server.send(key, []byte(final)) == nil })
	}
	waitUntil(t, "everything is received and published", func() bool {
		return finals.Load() == uint64(len(keys)) && b.Stats().Publish.Waiting == 0
	})
	s := b.Stats().Publish
	if published.Published != published.Received || s.Published != s.Received {
		t.Errorf("a: %+v, b: %+v: want all published", published, s)
	}

	type last struct{ number, token uint64 }
	seen := map[string]last{}
	all := readStream(t, b.NATS())
	for _, m := range all {
		number, err := strconv.ParseUint(m.text, 10, 64)
		token, err2 := strconv.ParseUint(m.token, 10, 64)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if l := seen[m.key]; number <= l.number || token < l.token {
			t.Fatalf("%s: message %d with token %d follows %d with %d", m.key, number, token, l.number, l.token)
		}
		seen[m.key] = last{number, token}
	}
	if len(all) == 0 || uint64(len(all)) != received.Load() {
		t.Errorf("%d messages are stored, and %d were received", len(all), received.Load())
	}
	for _, key := range keys {
		want := []string{"text " + a.ID(), "text " + b.ID()}
		waitUntil(t, key+" has received what was sent", func() bool { return slices.Contains(server.receivedBy(key), want[1]) })
		// What was sent again may have been sent before: see Send.
		if got := slices.Compact(slices.Clone(server.receivedBy(key))); !slices.Equal(got, want) {
			t.Errorf("%s received %q, want %q", key, got, want)
		}
	}
}
