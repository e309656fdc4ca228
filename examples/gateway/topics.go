package main

import (
	"encoding/json"

	"github.com/seed004e8d11/websock"
)

// A topic exists while a browser is subscribed to it.
type topic struct {
	browsers map[*browser]bool
	last     *websock.PreparedMessage // nil: none has come yet
}

// A request is what a browser sends, and what the gateway sends to the upstream.
type request struct {
	Subscribe   string `json:"subscribe,omitempty"`
	Unsubscribe string `json:"unsubscribe,omitempty"`
}

// handle executes a request of a browser. It ends the connection of one that makes no sense.
func (g *gateway) handle(b *browser, msg []byte) {
	var r request
	if err := json.Unmarshal(msg, &r); err != nil || (r.Subscribe == "") == (r.Unsubscribe == "") {
		b.conn.CloseWith(websock.ClosePolicyViolation, "not a request")
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.Unsubscribe != "" {
		g.unsubscribeLocked(b, r.Unsubscribe)
	} else if !g.subscribeLocked(b, r.Subscribe) {
		b.conn.CloseWith(websock.ClosePolicyViolation, "too many topics")
	}
}

// subscribeLocked subscribes a browser to a topic, of which it gets the last message at once. It returns
// false if there are too many topics.
func (g *gateway) subscribeLocked(b *browser, name string) bool {
	t := g.topics[name]
	switch {
	case t != nil && t.browsers[b]:
		return true
	case b.topics == g.limits.each, t == nil && len(g.topics) == g.limits.topics:
		return false
	case t == nil:
		t = &topic{browsers: map[*browser]bool{}}
		g.topics[name] = t
		g.tellLocked(g.upstream.Slot(0))
	case t.last != nil:
		b.send(name, t.last)
	}
	t.browsers[b] = true
	b.topics++
	return true
}

// unsubscribeLocked ends a subscription, if there is one.
func (g *gateway) unsubscribeLocked(b *browser, name string) {
	t := g.topics[name]
	if t == nil || !t.browsers[b] {
		return
	}
	delete(t.browsers, b)
	b.topics--
	if len(t.browsers) == 0 {
		delete(g.topics, name)
		g.tellLocked(g.upstream.Slot(0))
	}
}

// publish sends a message of the upstream to the browsers that are subscribed to its topic. It is encoded,
// and compressed, once for all of them.
func (g *gateway) publish(name string, msg []byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.topics[name]
	if t == nil {
		return nil // the last browser has just left
	}
	pm, err := websock.NewPreparedMessage(websock.OpText, msg)
	if err != nil {
		return err
	}
	t.last = pm
	for b := range t.browsers {
		b.send(name, pm)
	}
	return nil
}
