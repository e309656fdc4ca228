package fanout

import (
	"slices"
	"strings"
	"sync"

	"github.com/seed004e8d11/websock"
)

// Publish sends p as one message to the slots that are subscribed to a topic, in the way of Broadcast. It
// takes time in proportion to the number of these slots, however many others there are. The Delivery counts
// them, so it is zero if there are none.
//
// Messages that one goroutine publishes arrive at each slot in the order in which they were published. A
// slot that subscribes, unsubscribes or is removed while Publish runs may or may not get the message.
func (g *Group) Publish(topic string, op websock.Opcode, p []byte) Delivery {
	to := newRecipients()
	defer to.release()
	g.topics.appendTo(to, topic)
	d := g.broadcast(to, op, p)
	g.counts.publish(&d)
	return d
}

// Subscribe subscribes the slot to a topic, which may be any string: it gets what Group.Publish sends to
// the topic from now on. It does nothing if the slot is subscribed already or was removed. The
// subscription outlasts connections, and ends with Unsubscribe or when the slot is removed. The peer isn't
// told: what subscribes to something there is sent by Options.OnConnect.
func (s *Slot) Subscribe(topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.intent != leave {
		s.group.topics.subscribe(s, topic)
	}
}

// Unsubscribe ends a subscription. It does nothing if the slot is not subscribed to the topic.
func (s *Slot) Unsubscribe(topic string) { s.group.topics.unsubscribe(s, topic) }

// Topics returns the topics to which the slot is subscribed, sorted. The slice is the caller's own.
func (s *Slot) Topics() []string { return s.group.topics.of(s) }

// Topics returns all topics that have subscribers, each with the number of these. The map is the caller's
// own.
func (g *Group) Topics() map[string]int { return g.topics.sizes() }

// Subscribers returns the number of slots that are subscribed to a topic. It doesn't visit them.
func (g *Group) Subscribers(topic string) int { return g.topics.size(topic) }

// topics has the topics of a Group that have subscribers. Its lock is never held while something is sent.
type topics struct {
	mu            sync.RWMutex // guards rareState.subscriptions, too; it may be locked while a slot's lock is held
	byName        map[string]*topic
	subscriptions int
}

// A topic has subscribers, in any order.
type topic struct {
	name        string
	subscribers []*Slot
}

// A subscription says where a slot is among the subscribers of a topic, so that it is removed without a
// search. The subscriptions of a slot are sorted by the names of their topics.
type subscription struct {
	topic *topic
	index int
}

// findSubscription returns where the subscription to a topic is, or would be.
func findSubscription(of []subscription, name string) (at int, found bool) {
	return slices.BinarySearchFunc(of, name, func(s subscription, name string) int {
		return strings.Compare(s.topic.name, name)
	})
}

func (t *topics) subscribe(s *Slot, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := s.ensureRare()
	at, found := findSubscription(r.subscriptions, name)
	if found {
		return
	}
	to := t.byName[name]
	if to == nil {
		if t.byName == nil {
			t.byName = map[string]*topic{}
		}
		to = &topic{name: name}
		t.byName[name] = to
	}
	r.subscriptions = slices.Insert(r.subscriptions, at, subscription{to, len(to.subscribers)})
	to.subscribers = append(to.subscribers, s)
	t.subscriptions++
}

func (t *topics) unsubscribe(s *Slot, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := s.rareOrZero()
	at, found := findSubscription(r.subscriptions, name)
	if !found {
		return
	}
	t.removeLocked(r.subscriptions[at])
	if r.subscriptions = slices.Delete(r.subscriptions, at, at+1); len(r.subscriptions) == 0 {
		r.subscriptions = nil
	}
}

// removeSlot ends all subscriptions of a slot.
func (t *topics) removeSlot(s *Slot) {
	if s.rare.Load() == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	r := s.ensureRare()
	for _, sub := range r.subscriptions {
		t.removeLocked(sub)
	}
	r.subscriptions = nil
}

// removeLocked removes a subscriber from its topic: the last one takes its place. A topic without
// subscribers is forgotten.
func (t *topics) removeLocked(sub subscription) {
	from := sub.topic
	last := len(from.subscribers) - 1
	moved := from.subscribers[last]
	from.subscribers[sub.index] = moved
	of := moved.rareOrZero().subscriptions
	at, _ := findSubscription(of, from.name)
	of[at].index = sub.index
	from.subscribers[last] = nil
	from.subscribers = from.subscribers[:last]
	if last < cap(from.subscribers)/4 {
		from.subscribers = slices.Clone(from.subscribers)
	}
	if last == 0 {
		delete(t.byName, from.name)
	}
	t.subscriptions--
}

// appendTo adds the subscribers of a topic to recipients.
func (t *topics) appendTo(to *recipients, name string) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if from := t.byName[name]; from != nil {
		to.slots = append(to.slots, from.subscribers...)
	}
}

func (t *topics) of(s *Slot) (names []string) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, sub := range s.rareOrZero().subscriptions {
		names = append(names, sub.topic.name)
	}
	return names
}

func (t *topics) size(name string) int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if topic := t.byName[name]; topic != nil {
		return len(topic.subscribers)
	}
	return 0
}

func (t *topics) sizes() map[string]int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	sizes := make(map[string]int, len(t.byName))
	for name, topic := range t.byName {
		sizes[name] = len(topic.subscribers)
	}
	return sizes
}

func (t *topics) counts() (topics, subscriptions int) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.byName), t.subscriptions
}
