package cluster

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
)

// startTestPublisher starts a publisher whose keys are held as h says; nil: all are, with token 7.
func startTestPublisher(t testing.TB, c *nats.Conn, h *tokens, o Publish) *publisher {
	t.Helper()
	if h == nil {
		h = &tokens{of: map[string]uint64{"": 7}}
	}
	p, err := startPublisher(inTime(t), publisherOptions{
		Publish: o,
		name:    "test",
		prefix:  "test",
		conn:    c,
		holds:   h.holds,
		log:     discardLog,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		p.close(ctx)
		<-p.done
	})
	witness(t, func() string { return fmt.Sprintf("publisher: %+v", p.stats()) })
	return p
}

func (p *publisher) text(key, text string) { p.receive(nil, key, websock.OpText, []byte(text)) }

func waitPublished(t testing.TB, p *publisher) PublishStats {
	t.Helper()
	waitUntil(t, "nothing waits to be published", func() bool { return p.stats().Waiting == 0 })
	return p.stats()
}

// A stored message is one as the stream has it.
type stored struct{ key, token, id, text string }

// readStream returns all messages of the stream, in order.
func readStream(t testing.TB, c *nats.Conn) (all []stored) {
	t.Helper()
	js, err := jetstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the stream can be read", func() bool { // by servers that have just been started
		all, err = tryReadStream(js)
		if err != nil {
			t.Log(err)
		}
		return err == nil
	})
	return all
}

func tryReadStream(js jetstream.JetStream) (all []stored, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	info, err := js.Stream(ctx, "test-rx")
	if err != nil {
		return nil, err
	}
	consumer, err := js.OrderedConsumer(ctx, "test-rx", jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	for uint64(len(all)) < info.CachedInfo().State.Msgs {
		msg, err := messages.Next(jetstream.NextMaxWait(5 * time.Second))
		if err != nil {
			return nil, fmt.Errorf("after %d of %d messages: %w", len(all), info.CachedInfo().State.Msgs, err)
		}
		all = append(all, stored{
			strings.TrimPrefix(msg.Subject(), "test.rx."),
			msg.Headers().Get(TokenHeader),
			msg.Headers().Get(jetstream.MsgIDHeader),
			string(msg.Data()),
		})
	}
	return all, nil
}

// checkStored checks that the stream has the messages 1 to n of each key, once and in order.
func checkStored(t testing.TB, all []stored, keys []string, n int) {
	t.Helper()
	last := map[string]int{}
	for _, m := range all {
		i, err := strconv.Atoi(m.text)
		if err != nil || i != last[m.key]+1 {
			t.Fatalf("key %s: message %q follows %d", m.key, m.text, last[m.key])
		}
		last[m.key] = i
	}
	for _, key := range keys {
		if last[key] != n {
			t.Errorf("key %s: the last message is %d, want %d", key, last[key], n)
		}
	}
	if len(all) != n*len(keys) {
		t.Errorf("%d messages, want %d", len(all), n*len(keys))
	}
}

func TestMessagesArePublishedWithTheirOpcodeAndToken(t *testing.T) {
	for _, to := range []PublishTo{ToCore, ToJetStream} {
		t.Run(fmt.Sprint(to), func(t *testing.T) {
			c := connectNATS(t, startNATS(t).addr())
			got := make(chan *nats.Msg, 10)
			if _, err := c.ChanSubscribe("test.rx.>", got); err != nil {
				t.Fatal(err)
			}
			h := &tokens{of: map[string]uint64{"a": 17, "b c": 18}}
			p := startTestPublisher(t, c, h, Publish{
				To: to, Stream: &jetstream.StreamConfig{},
				AckWait: time.Hour, // so that nothing comes twice
			})
			p.receive(nil, "a", websock.OpText, []byte("text"))
			p.receive(nil, "b c", websock.OpBinary, []byte{1, 2})
			p.receive(nil, "unknown", websock.OpBinary, nil)
			for _, want := range []struct{ subject, token, opcode, id, data string }{
				{"test.rx.a", "17", "", "a.17.1", "text"},
				{"test.rx.b=20c", "18", "binary", "b=20c.18.2", "\x01\x02"},
			} {
				m := <-got
				if to == ToCore {
					want.id = ""
				}
				if m.Subject != want.subject || m.Header.Get(TokenHeader) != want.token || m.Header.Get(OpcodeHeader) != want.opcode ||
					m.Header.Get(jetstream.MsgIDHeader) != want.id || string(m.Data) != want.data {
					t.Errorf("got %s %v %q, want %v", m.Subject, m.Header, m.Data, want)
				}
			}
			if s := waitPublished(t, p); s.Published != 2 || s.Dropped[DropNotHeld] != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestWhatNATSDoesNotTakeIsDroppedAndHoldsNothingUp(t *testing.T) {
	for _, to := range []PublishTo{ToCore, ToJetStream} {
		t.Run(fmt.Sprint(to), func(t *testing.T) {
			c := connectNATS(t, startNATS(t).addr())
			var d drops
			p := startTestPublisher(t, c, nil, Publish{
				To:        to,
				Stream:    &jetstream.StreamConfig{MaxMsgSize: 1 << 19},
				OnDropped: d.note,
			})
			long := strings.Repeat("k", maxSubject)
			p.text("a", "1")
			p.text("a", strings.Repeat("x", 1<<20))
			p.text("a", "2")
			p.text(long, "1")
			want := map[string]int{"a": 1, long: 1}
			if to == ToJetStream {
				p.text("b", strings.Repeat("x", 1<<19))
				want["b"] = 1
			}
			p.text("b", "1")
			s := waitPublished(t, p)
			for key, n := range want { // OnDropped is called when they don't wait any more
				waitUntil(t, fmt.Sprintf("%d of %.10s are dropped", n, key), func() bool { return d.of(key, DropTooLarge) == n })
			}
			if s.Published != 3 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestMessagesOfAnOlderTokenAreNotPublished(t *testing.T) {
	n := startNATS(t)
	c := connectNATS(t, n.addr())
	h := &tokens{of: map[string]uint64{"a": 1, "b": 1, "c": 1}}
	p := startTestPublisher(t, c, h, Publish{To: ToJetStream, Stream: &jetstream.StreamConfig{}})
	n.stop()
	for _, key := range []string{"a", "b", "c"} {
		p.text(key, "old")
	}
	h.set("a", 2)
	h.set("b", 0)
	p.text("a", "new")
	p.text("b", "new")
	n.start()
	if s := waitPublished(t, p); s.Published != 2 || s.Dropped[DropNotHeld] != 3 {
		t.Errorf("%+v", s)
	}
	all := readStream(t, c)
	if len(all) != 2 || all[0].key == "a" && all[0] != (stored{"a", "2", "a.2.4", "new"}) {
		t.Errorf("stored %v", all)
	}
}

// withAndWithoutBatches runs a test with the configurations of a stream that takes fast batches, and of
// one that doesn't.
func withAndWithoutBatches(t *testing.T, test func(*testing.T, jetstream.StreamConfig)) {
	for _, batches := range []bool{true, false} {
		t.Run(fmt.Sprint("batches=", batches), func(t *testing.T) {
			test(t, jetstream.StreamConfig{AllowBatchPublish: batches})
		})
	}
}

// TestNothingIsLostWhenNATSIsAway publishes while the server is stopped and started.
func TestNothingIsLostWhenNATSIsAway(t *testing.T) {
	withAndWithoutBatches(t, testNothingIsLostWhenNATSIsAway)
}

func testNothingIsLostWhenNATSIsAway(t *testing.T, stream jetstream.StreamConfig) {
	const messages, outages = 100, 3
	n := startNATS(t)
	c := connectNATS(t, n.addr())
	p := startTestPublisher(t, c, nil, Publish{To: ToJetStream, Stream: &stream, AckWait: time.Second})
	keys := keysUpTo(100)
	for i := 1; i <= messages; i++ {
		for _, key := range keys {
			p.text(key, fmt.Sprint(i))
		}
	}
	for i := range outages {
		waitUntil(t, "messages are being published", func() bool {
			return p.stats().Published > uint64(i*messages*len(keys)/(outages+1))
		})
		n.stop()
		n.start()
	}
	s := waitPublished(t, p)
	if want := uint64(messages * len(keys)); s.Published != want || s.Received != want {
		t.Errorf("%+v, want %d messages published", s, want)
	}
	checkStored(t, readStream(t, c), keys, messages)
}

// TestNothingIsLostWhenTheLeaderChanges publishes to a stream with three replicas. Its leader steps down,
// and is stopped and started again.
func TestNothingIsLostWhenTheLeaderChanges(t *testing.T) {
	const messages = 100
	servers := startNATSCluster(t, 3)
	c := connectNATS(t, servers[0].addr(), servers[1].addr(), servers[2].addr())
	p := startTestPublisher(t, c, nil, Publish{
		To:      ToJetStream,
		Stream:  &jetstream.StreamConfig{Replicas: 3, AllowBatchPublish: true},
		AckWait: time.Second,
	})
	keys := keysUpTo(30)
	for i := 1; i <= messages; i++ {
		for _, key := range keys {
			p.text(key, fmt.Sprint(i))
		}
	}
	published := func(part uint64) {
		t.Helper()
		waitUntil(t, "messages are being published", func() bool {
			return p.stats().Published > part*messages*uint64(len(keys))/4
		})
	}
	published(0)
	waitUntil(t, "the leader steps down", func() bool { // while there is none, nobody answers
		_, err := c.Request("$JS.API.STREAM.LEADER.STEPDOWN.test-rx", nil, 2*time.Second)
		return err == nil
	})
	published(1)
	stopped := -1
	waitUntil(t, "the stream has a leader", func() bool {
		stopped = slices.IndexFunc(servers, func(s *natsServer) bool {
			return s.server.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, "test-rx")
		})
		return stopped >= 0
	})
	servers[stopped].stop()
	published(2)
	servers[stopped].start()
	s := waitPublished(t, p)
	if want := uint64(messages * len(keys)); s.Published != want {
		t.Errorf("%+v, want %d messages published", s, want)
	}
	checkStored(t, readStream(t, c), keys, messages)
}

func TestWhatWasStoredWithoutAnAcknowledgementIsStoredOnce(t *testing.T) {
	n := startNATS(t)
	x := startProxy(t, n.addr())
	c := connectNATS(t, x.addr())
	p := startTestPublisher(t, c, nil, Publish{To: ToJetStream, Stream: &jetstream.StreamConfig{}, AckWait: time.Hour})
	direct := connectNATS(t, n.addr())
	keys := keysUpTo(20)
	x.mute.Store(true)
	for i := 1; i <= 3; i++ {
		for _, key := range keys {
			p.text(key, fmt.Sprint(i))
		}
	}
	waitUntil(t, "the first message of each key is stored", func() bool { return len(readStream(t, direct)) == len(keys) })
	x.cut()
	x.mute.Store(false)
	s := waitPublished(t, p)
	if s.Duplicates != uint64(len(keys)) || s.Retries != uint64(len(keys)) || s.Published != 3*uint64(len(keys)) {
		t.Errorf("%+v, want %d messages that were there already", s, len(keys))
	}
	checkStored(t, readStream(t, direct), keys, 3)
}

func TestAKeyIsFlushedWhenItsMessagesAreStored(t *testing.T) {
	n := startNATS(t)
	c := connectNATS(t, n.addr())
	p := startTestPublisher(t, c, nil, Publish{To: ToJetStream, Stream: &jetstream.StreamConfig{}, FlushTimeout: time.Minute})
	n.stop()
	for i := 1; i <= 10; i++ {
		p.text("a", fmt.Sprint(i))
	}
	flushed := make(chan struct{})
	p.flushed("a", func() { close(flushed) })
	n.start()
	<-flushed
	checkStored(t, readStream(t, c), []string{"a"}, 10)
}

func TestAStreamThatRefusesIsTriedAgain(t *testing.T) {
	n := startNATS(t)
	c := connectNATS(t, n.addr())
	p := startTestPublisher(t, c, nil, Publish{To: ToJetStream, Stream: &jetstream.StreamConfig{MaxMsgs: 2, Discard: jetstream.DiscardNew}})
	js, err := jetstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 3; i++ {
		p.text("a", fmt.Sprint(i))
	}
	waitUntil(t, "the stream is full", func() bool { s := p.stats(); return s.Published == 2 && s.Retries > 0 })
	stream, err := js.Stream(inTime(t), "test-rx")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(inTime(t)); err != nil {
		t.Fatal(err)
	}
	waitPublished(t, p)
	if all := readStream(t, c); len(all) != 1 || all[0].text != "3" {
		t.Errorf("stored %v", all)
	}

	if err := js.DeleteStream(inTime(t), "test-rx"); err != nil {
		t.Fatal(err)
	}
	p.text("a", "1")
	waitUntil(t, "nobody answers", func() bool { return p.stats().Retries > 1 })
	if _, err := js.CreateStream(inTime(t), jetstream.StreamConfig{Name: "test-rx", Subjects: []string{"test.rx.>"}}); err != nil {
		t.Fatal(err)
	}
	waitPublished(t, p)
	checkStored(t, readStream(t, c), []string{"a"}, 1)
}

func TestAPublisherNeedsAStream(t *testing.T) {
	c := connectNATS(t, startNATS(t).addr())
	o := publisherOptions{Publish: Publish{To: ToJetStream}, name: "test", prefix: "test", conn: c}
	if _, err := startPublisher(inTime(t), o); err == nil || !strings.Contains(err.Error(), "test.rx.>") {
		t.Errorf("%v, want an error that names the subjects", err)
	}
	o.Stream = &jetstream.StreamConfig{Name: "no good"}
	if _, err := startPublisher(inTime(t), o); err == nil || !strings.Contains(err.Error(), "no good") {
		t.Errorf("%v, want an error that names the stream", err)
	}
}

func TestCoreCountsWhatMayBeLost(t *testing.T) {
	const messages = 2000
	n := startNATS(t)
	c := connectNATS(t, n.addr())
	var d drops
	p := startTestPublisher(t, c, nil, Publish{To: ToCore, OnDropped: d.note})
	keys := keysUpTo(50)
	for i := 1; i <= messages; i++ {
		for _, key := range keys {
			p.text(key, fmt.Sprint(i))
		}
		if i%(messages/2) == 0 {
			n.stop()
			n.start()
		}
	}
	s := waitPublished(t, p)
	if s.Received != messages*uint64(len(keys)) || s.Published+s.Dropped[DropUnconfirmed] != s.Received || s.Published == 0 {
		t.Errorf("%+v: the counts don't add up", s)
	}
}

// TestSlotsArePausedWhileNATSTakesNothing has a server send to all slots more than the buffer holds.
func TestSlotsArePausedWhileNATSTakesNothing(t *testing.T) {
	for _, to := range []PublishTo{ToCore, ToJetStream} {
		t.Run(fmt.Sprint(to), func(t *testing.T) {
			const messages, size, buffer = 200, 4096, 2 << 20
			n := startNATS(t)
			x := startProxy(t, n.addr())
			direct := connectNATS(t, n.addr())
			got := make(chan *nats.Msg, 20*messages)
			if _, err := direct.ChanSubscribe("test.rx.>", got); err != nil {
				t.Fatal(err)
			}
			if err := direct.FlushTimeout(patience); err != nil {
				t.Fatal(err)
			}
			server, keys := startPeer(t), keysUpTo(20)
			p := startTestPublisher(t, connectNATS(t, x.addr()), nil, Publish{
				To: to, Stream: &jetstream.StreamConfig{}, Buffer: buffer,
				AckWait: time.Hour, // so that nothing comes twice
			})
			g := startSlots(t, server, keys, fanout.Options{
				OnMessage: func(s *fanout.Slot, op websock.Opcode, msg []byte) { p.receive(s, s.Key(), op, msg) },
			})
			x.deaf.Store(true)
			sent := make(chan error, len(keys))
			for _, key := range keys {
				go func() {
					padding := strings.Repeat(" ", size)
					for i := 1; i <= messages; i++ {
						if err := server.send(key, []byte(fmt.Sprint(i, padding))); err != nil {
							sent <- err
							return
						}
					}
					sent <- nil
				}()
			}
			waitUntil(t, "all slots are paused", func() bool { return p.stats().Paused == len(keys) })
			if s := p.stats(); s.WaitingBytes > buffer*3/4 {
				t.Errorf("%d bytes wait, of %d: paused too late", s.WaitingBytes, buffer)
			}
			for i := range len(keys) {
				if !g.Slot(i).Conn().Paused() {
					t.Errorf("slot %d is not paused", i)
				}
			}
			x.deaf.Store(false)
			last := map[string]int{}
			for range messages * len(keys) {
				m := <-got
				var i int
				fmt.Sscan(string(m.Data), &i)
				if i != last[m.Subject]+1 {
					t.Fatalf("%s: message %d follows %d", m.Subject, i, last[m.Subject])
				}
				last[m.Subject] = i
			}
			for range keys {
				if err := <-sent; err != nil {
					t.Error(err)
				}
			}
			s := waitPublished(t, p)
			if s.Paused != 0 || s.Published != uint64(messages*len(keys)) || len(s.Dropped) != 0 {
				t.Errorf("%+v: want all published and nothing paused", s)
			}
		})
	}
}

func TestAConnectionThatEndsWhileItIsPausedIsDialledAgain(t *testing.T) {
	n := startNATS(t)
	server, keys := startPeer(t), keysUpTo(1)
	p := startTestPublisher(t, connectNATS(t, n.addr()), nil, Publish{To: ToJetStream, Stream: &jetstream.StreamConfig{}, Buffer: 32 << 10})
	g := startSlots(t, server, keys, fanout.Options{
		Backoff:   fanout.Backoff{Base: time.Millisecond},
		OnMessage: func(s *fanout.Slot, op websock.Opcode, msg []byte) { p.receive(s, s.Key(), op, msg) },
	})
	n.stop()
	sent := 0
	for ; p.stats().Paused == 0; sent++ {
		if err := server.send(keys[0], []byte(fmt.Sprint(sent+1))); err != nil {
			t.Fatal(err)
		}
		waitUntil(t, "the message has come", func() bool { return p.stats().Received == uint64(sent+1) })
	}
	before := server.conn(keys[0])
	g.Slot(0).Conn().Abort(nil)
	waitUntil(t, "the slot has another connection", func() bool { return server.conn(keys[0]) != before })
	if err := server.send(keys[0], []byte(fmt.Sprint(sent+1))); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "it is paused, too", func() bool { c := g.Slot(0).Conn(); return c != nil && c.Paused() })
	n.start()
	waitUntil(t, "it goes on", func() bool { return !g.Slot(0).Conn().Paused() && p.stats().Paused == 0 })
	if s := waitPublished(t, p); s.Published != uint64(sent+1) {
		t.Errorf("%+v, want %d published", s, sent+1)
	}
}

func TestACutDropsAtOnceWhileNATSIsAway(t *testing.T) {
	for _, to := range []PublishTo{ToCore, ToJetStream} {
		t.Run(fmt.Sprint(to), func(t *testing.T) {
			n := startNATS(t)
			c := connectNATS(t, n.addr())
			p := startTestPublisher(t, c, nil, Publish{To: to, Stream: &jetstream.StreamConfig{}})
			n.stop()
			waitUntil(t, "the connection is lost", func() bool { return !c.IsConnected() })
			for i := range 100 {
				p.text(fmt.Sprint(i), "1")
			}
			p.cut()
			if s := p.stats(); s.Waiting != 0 || s.Dropped[DropNotHeld] != 100 {
				t.Errorf("%+v", s)
			}
			n.start()
			p.text("a", "1")
			if s := waitPublished(t, p); s.Published != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}
