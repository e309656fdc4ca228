package fanout

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/seed004e8d11/websock"
)

func TestAMessageReachesThoseSubscribedToItsTopic(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		var in inboxes
		g := startGroup(t, Options{Targets: targetsFor(transport, newTestServer(t).url()), Size: 4, OnMessage: in.onMessage})
		waitAllUp(t, g)
		for number, topics := range [][]string{{"a"}, {"a", "b"}, {"b", ""}, nil} {
			for _, topic := range topics {
				g.Slot(number).Subscribe(topic)
				g.Slot(number).Subscribe(topic) // changes nothing
			}
		}
		g.Slot(3).Subscribe("a")
		g.Slot(3).Unsubscribe("a")
		g.Slot(3).Unsubscribe("a") // changes nothing
		g.Slot(3).Unsubscribe("c")
		for _, p := range []struct {
			topic string
			want  Delivery
		}{{"a", Delivery{Sent: 2}}, {"b", Delivery{Sent: 2}}, {"", Delivery{Sent: 1}}, {"c", Delivery{}}, {"a", Delivery{Sent: 2}}} {
			if d := g.Publish(p.topic, websock.OpText, []byte("of "+p.topic)); d != p.want {
				t.Errorf("topic %q: %+v, want %+v", p.topic, d, p.want)
			}
		}
		g.Broadcast(websock.OpText, []byte("end"))
		for key, want := range map[string][]string{
			"0": {"of a", "of a", "end"},
			"1": {"of a", "of b", "of a", "end"},
			"2": {"of b", "of ", "end"},
			"3": {"end"},
		} {
			waitUntil(t, "the last message", func() bool { return slices.Contains(in.of(key), "end") })
			if got := in.of(key); !slices.Equal(got, want) {
				t.Errorf("slot %s has received %q, want %q", key, got, want)
			}
		}
		if got := g.Slot(1).Topics(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("slot 1 is subscribed to %q", got)
		}
		if s := g.Stats(); s.Publishes != 5 || s.Broadcasts != 1 || s.Topics != 3 || s.Subscriptions != 5 {
			t.Errorf("%+v", s)
		}
	})
}

func TestSubscriptionsOutlastConnections(t *testing.T) {
	var in inboxes
	server := newTestServer(t)
	g := startGroup(t, Options{Targets: targetsFor(nil, server.url()), Size: 2, OnMessage: in.onMessage, SendBuffer: 1000})
	s := g.Slot(1)
	s.Subscribe("news")
	for round := range 3 {
		waitAllUp(t, g)
		g.Publish("news", websock.OpText, fmt.Append(nil, "up ", round))
		waitUntil(t, "the message", func() bool { return len(in.of("1")) == 2*round+1 })
		server.kill()
		waitUntil(t, "the slot is down", func() bool { return s.State() != Up })
		if d := g.Publish("news", websock.OpText, fmt.Append(nil, "down ", round)); d != (Delivery{Kept: 1}) {
			t.Errorf("%+v", d)
		}
		server.start()
	}
	waitUntil(t, "the last message", func() bool { return len(in.of("1")) == 6 })
	if want := []string{"up 0", "down 0", "up 1", "down 1", "up 2", "down 2"}; !slices.Equal(in.of("1"), want) {
		t.Errorf("%q", in.of("1"))
	}
	if len(in.of("0")) > 0 {
		t.Errorf("a slot without a subscription has received %q", in.of("0"))
	}
}

func TestSubscriptionsEndWhenTheSlotIsRemoved(t *testing.T) {
	var in inboxes
	g := startGroup(t, Options{Targets: targetsFor(nil, newTestServer(t).url()), Size: -1, OnMessage: in.onMessage})
	first, err := g.Add("a", SlotOptions{Topics: []string{"news", "weather", "news"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := first.Topics(); !slices.Equal(got, []string{"news", "weather"}) {
		t.Errorf("the slot began with the topics %q", got)
	}
	waitAllUp(t, g)
	first.Remove()
	first.Subscribe("news") // does nothing any more
	if s := g.Stats(); s.Topics != 0 || s.Subscriptions != 0 || len(first.Topics()) > 0 {
		t.Errorf("%d topics with %d subscriptions are left", s.Topics, s.Subscriptions)
	}
	if d := g.Publish("news", websock.OpText, []byte("never")); d != (Delivery{}) {
		t.Errorf("%+v", d)
	}
	if _, err := g.Add("a", SlotOptions{Topics: []string{"weather"}}); err != nil {
		t.Fatal(err)
	}
	waitAllUp(t, g)
	g.Publish("news", websock.OpText, []byte("never"))
	g.Publish("weather", websock.OpText, []byte("rain"))
	waitUntil(t, "the message", func() bool { return len(in.of("a")) > 0 })
	if got := in.of("a"); !slices.Equal(got, []string{"rain"}) {
		t.Errorf("the new slot with the same key has received %q", got)
	}
}

// A slot that is removed after a broadcast has begun is neither counted nor reported.
func TestABroadcastForgetsSlotsThatAreRemovedMeanwhile(t *testing.T) {
	unsent := 0
	g := startGroup(t, Options{
		Targets:  targetsFor(nil, newTestServer(t).url()),
		Size:     5,
		OnUnsent: func(*Slot, int, error) { unsent++ },
	})
	waitAllUp(t, g)
	d := g.BroadcastTo(websock.OpText, []byte("news"), func(s *Slot) bool {
		if s.Number() == 4 {
			g.Slot(0).Remove()
			s.Abort()
		}
		return true
	})
	if d != (Delivery{Sent: 3}) || unsent != 0 {
		t.Errorf("%+v, %d reports", d, unsent)
	}
}

func TestPublishTellsWhichSlotsItHasPassedOver(t *testing.T) {
	var passedOver []*Slot
	g := startGroup(t, Options{
		Targets:  URLs("ws://127.0.0.1:1/"),
		Size:     3,
		OnUnsent: func(s *Slot, _ int, err error) { passedOver = append(passedOver, s) },
	})
	g.Slot(2).Subscribe("news")
	if d := g.Publish("news", websock.OpText, nil); d != (Delivery{Down: 1}) || !slices.Equal(passedOver, []*Slot{g.Slot(2)}) {
		t.Errorf("%+v, %d slots", d, len(passedOver))
	}
	if d := g.Publish("news", websock.OpPing, nil); d != (Delivery{Refused: 1}) {
		t.Errorf("%+v", d)
	}
	if s := g.Stats(); s.BroadcastsDown != 1 || s.BroadcastsRefused != 1 {
		t.Errorf("%+v", s)
	}
}

// The topics are compared with a plain model after each of many random changes.
func TestTopicsAfterRandomChanges(t *testing.T) {
	const slots, names, changes = 40, 6, 20_000
	g, all := &Group{}, make([]Slot, slots)
	model := map[string]map[*Slot]bool{}
	for i := range names {
		model[strconv.Itoa(i)] = map[*Slot]bool{}
	}
	for range changes {
		s, name := &all[rand.N(slots)], strconv.Itoa(rand.N(names))
		s.group = g
		switch rand.N(21) {
		case 0:
			g.topics.removeSlot(s)
			for _, of := range model {
				delete(of, s)
			}
		case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10:
			s.Subscribe(name)
			model[name][s] = true
		default:
			s.Unsubscribe(name)
			delete(model[name], s)
		}
		checkTopics(t, g, all, model)
	}
}

func checkTopics(t *testing.T, g *Group, all []Slot, model map[string]map[*Slot]bool) {
	t.Helper()
	sizes, subscriptions := map[string]int{}, 0
	for name, want := range model {
		to := newRecipients()
		g.topics.appendTo(to, name)
		got := map[*Slot]bool{}
		for _, s := range to.slots {
			got[s] = true
		}
		if !maps.Equal(got, want) || len(to.slots) != len(want) || g.Subscribers(name) != len(want) {
			t.Fatalf("topic %s has %d subscribers, want %d", name, len(to.slots), len(want))
		}
		to.release()
		if len(want) > 0 {
			sizes[name] = len(want)
			subscriptions += len(want)
		}
	}
	if topics, n := g.topics.counts(); topics != len(sizes) || n != subscriptions || !maps.Equal(g.Topics(), sizes) {
		t.Fatalf("%d topics with %d subscriptions, want %d with %d", topics, n, len(sizes), subscriptions)
	}
	for i := range all {
		for _, sub := range all[i].rareOrZero().subscriptions {
			if !model[sub.topic.name][&all[i]] || sub.topic.subscribers[sub.index] != &all[i] {
				t.Fatalf("a slot is subscribed to %s at %d", sub.topic.name, sub.index)
			}
			subscriptions--
		}
	}
	if subscriptions != 0 {
		t.Fatalf("slots lack %d subscriptions", subscriptions)
	}
}

func TestNothingIsLeftOfTopicsWithoutSubscribers(t *testing.T) {
	g, slots := &Group{}, make([]Slot, 1000)
	for i := range slots {
		slots[i].group = g
		slots[i].Subscribe("news")
	}
	news := g.topics.byName["news"]
	for i := range slots {
		if n := len(slots) - i; g.Subscribers("news") != n || i > len(slots)*9/10 && cap(news.subscribers) > 4*(n+1) {
			t.Fatalf("memory for %d subscribers is kept for %d", cap(news.subscribers), n)
		}
		slots[i].Unsubscribe("news")
		if slots[i].rareOrZero().subscriptions != nil {
			t.Fatal("memory is kept for the topics of a slot that has none")
		}
	}
	if len(g.topics.byName) > 0 {
		t.Error("a topic is left")
	}
}

// Slots that are subscribed all the time receive every message of each publisher, in order, while others
// come and go.
func TestPublishWhileSubscriptionsChange(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		const slots, steady, publishers, messages = 24, 8, 3, 200
		var in inboxes
		g := startGroup(t, Options{
			Targets:   targetsFor(transport, newTestServer(t).url()),
			Size:      slots,
			OnMessage: in.onMessage,
		})
		waitAllUp(t, g)
		for number := range steady {
			g.Slot(number).Subscribe("news")
		}
		var changing, publishing sync.WaitGroup
		ctx, stop := context.WithCancel(t.Context())
		for number := steady; number < slots; number++ {
			changing.Go(func() {
				for s := g.Slot(number); ctx.Err() == nil; s.Unsubscribe("news") {
					s.Subscribe("news")
				}
			})
		}
		changing.Go(func() {
			for ctx.Err() == nil {
				s, err := g.Add("guest", SlotOptions{Topics: []string{"news", "else"}})
				if err != nil {
					t.Error(err)
					return
				}
				changing.Go(func() { s.Subscribe("last") })
				s.Remove()
			}
		})
		for publisher := range publishers {
			publishing.Go(func() {
				for i := range messages {
					d := g.Publish("news", websock.OpText, fmt.Appendf(nil, "%d %d", publisher, i))
					if d.Sent < steady || d.Sent > slots+1 /* the guest */ || d.Down > 1 || d != (Delivery{Sent: d.Sent, Down: d.Down}) {
						t.Errorf("%+v", d)
					}
				}
			})
		}
		publishing.Wait()
		stop()
		changing.Wait()
		for number := range slots {
			if topics := g.Slot(number).Topics(); (len(topics) > 0) != (number < steady) {
				t.Errorf("slot %d is subscribed to %q", number, topics)
			}
		}
		if topics := g.Topics(); !maps.Equal(topics, map[string]int{"news": steady}) {
			t.Errorf("these topics are left: %v", topics)
		}
		g.Broadcast(websock.OpText, []byte("end"))
		for number := range slots {
			key := strconv.Itoa(number)
			waitUntil(t, "the last message", func() bool { return slices.Contains(in.of(key), "end") })
			got := in.of(key)
			if number < steady && len(got) != publishers*messages+1 {
				t.Errorf("slot %d has received %d messages", number, len(got))
			}
			checkOrder(t, got[:len(got)-1])
		}
	})
}

// checkOrder asserts that messages, each with the number of its publisher and its own, come in order.
func checkOrder(t *testing.T, messages []string) {
	t.Helper()
	next := map[int]int{}
	for _, m := range messages {
		var publisher, i int
		if _, err := fmt.Sscan(m, &publisher, &i); err != nil || i < next[publisher] {
			t.Fatalf("%q comes after %d, %v", m, next[publisher], err)
		}
		next[publisher] = i + 1
	}
}

func TestABroadcastToChosenSlots(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		var in inboxes
		g := startGroup(t, Options{Targets: targetsFor(transport, newTestServer(t).url()), Size: 10, OnMessage: in.onMessage})
		waitAllUp(t, g)
		var asked []*Slot
		d := g.BroadcastTo(websock.OpText, []byte("even"), func(s *Slot) bool {
			asked = append(asked, s)
			return s.Number()%2 == 0
		})
		if d != (Delivery{Sent: 5}) || !slices.Equal(asked, slices.Collect(g.Slots())) {
			t.Errorf("%+v, %d slots were asked", d, len(asked))
		}
		g.Broadcast(websock.OpText, []byte("end"))
		for number := range 10 {
			want := []string{"even", "end"}[number%2:]
			key := strconv.Itoa(number)
			waitUntil(t, "the last message", func() bool { return slices.Contains(in.of(key), "end") })
			if got := in.of(key); !slices.Equal(got, want) {
				t.Errorf("slot %d has received %q, want %q", number, got, want)
			}
		}
		if s := g.Stats(); s.Broadcasts != 2 {
			t.Errorf("%d broadcasts", s.Broadcasts)
		}
	})
}

// The function that chooses slots may do whatever the application may do, since no lock is held and
// nothing is held back while it runs.
func TestTheFilterOfABroadcastMayUseTheGroup(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		var in inboxes
		g := startGroup(t, Options{Targets: targetsFor(transport, newTestServer(t).url()), Size: 10, OnMessage: in.onMessage})
		waitAllUp(t, g)
		d := g.BroadcastTo(websock.OpText, []byte("later"), func(s *Slot) bool {
			s.Subscribe("asked")
			defer s.Unsubscribe("asked")
			if d := g.Publish("asked", websock.OpText, []byte("now")); d != (Delivery{Sent: 1}) {
				t.Errorf("%+v", d)
			}
			waitUntil(t, "the echo", func() bool { return len(in.of(s.Key())) == 1 })
			return s.State() == Up && g.Stats().Up == 10 && len(g.Topics()) == 1
		})
		if d != (Delivery{Sent: 10}) {
			t.Errorf("%+v", d)
		}
	})
}

func TestNothingIsSentIfTheFilterOfABroadcastPanics(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		var in inboxes
		g := startGroup(t, Options{Targets: targetsFor(transport, newTestServer(t).url()), Size: 3, OnMessage: in.onMessage})
		waitAllUp(t, g)
		func() {
			defer func() {
				if v := recover(); v != "no" {
					t.Errorf("recovered %v", v)
				}
			}()
			g.BroadcastTo(websock.OpText, []byte("never"), func(s *Slot) bool {
				if s.Number() == 2 {
					panic("no")
				}
				return true
			})
		}()
		g.Broadcast(websock.OpText, []byte("end"))
		for _, key := range []string{"0", "1", "2"} {
			waitUntil(t, "a message", func() bool { return len(in.of(key)) > 0 })
			if got := in.of(key); !slices.Equal(got, []string{"end"}) {
				t.Errorf("slot %s has received %q", key, got)
			}
		}
	})
}
