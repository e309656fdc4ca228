package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"maps"
	"slices"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
)

// A subscription gets what the server sends because of a call such as eth_subscribe. The server
// answers the call with an id, and names that id in the params of each notification, as Ethereum,
// Polkadot and Solana do.
type subscription struct {
	updates chan update

	method string
	params any

	// Guarded by the client's lock.
	gap   bool // the next update is to have Gap
	ended bool // the channel is closed
}

// An update is a notification of a subscription.
type update struct {
	Result json.RawMessage

	// Gap says that updates are missing before this one: the connection was lost, or the reader of
	// the channel was too slow. Ask the server for the present state.
	Gap bool
}

// subscribe subscribes with a call of method. The channel of updates has room for that many; when it is
// full, updates are dropped, and the next one that has room says so. The channel is closed by
// unsubscribe and close, and if the server refuses the subscription on a later connection.
func (c *client) subscribe(ctx context.Context, method string, params any, room int) (*subscription, error) {
	s := &subscription{updates: make(chan update, max(room, 1)), method: method, params: params}
	if err := c.do(ctx, method, params, nil, s); err != nil {
		c.end(s)
		return nil, err
	}
	return s, nil
}

// unsubscribe ends a subscription with a call of method, whose parameter is the id. Without a connection
// there is nothing to end at the server.
func (c *client) unsubscribe(ctx context.Context, method string, s *subscription) error {
	id := c.end(s)
	if id == "" {
		return nil
	}
	err := c.call(ctx, method, []json.RawMessage{json.RawMessage(id)}, nil)
	if errors.Is(err, errLost) {
		return nil // the server has forgotten it with the connection
	}
	return err
}

func (c *client) end(s *subscription) (id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.endLocked(s)
}

// endLocked forgets a subscription. It returns its id, or "" if it has none at present.
func (c *client) endLocked(s *subscription) (id string) {
	if s.ended {
		return ""
	}
	s.ended = true
	close(s.updates)
	delete(c.wanted, s)
	for i, of := range c.byID {
		if of == s {
			delete(c.byID, i)
			return i
		}
	}
	return ""
}

// subscribeAgain makes all subscriptions on a new connection, before calls are sent on it.
func (c *client) subscribeAgain(_ context.Context, _ *fanout.Slot, conn *websock.Conn) error {
	c.mu.Lock()
	wanted := slices.Collect(maps.Keys(c.wanted))
	for _, s := range wanted {
		s.gap = true
	}
	c.mu.Unlock()
	for _, s := range wanted {
		err := c.callOn(conn, s)
		if refused := new(serverError); errors.As(err, &refused) {
			log.Printf("subscribing again with %s: %v", s.method, err)
			c.end(s)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// callOn makes the call of a subscription, and handles what else is received until it is answered. The
// context of OnConnect bounds it, as that ends receives on conn.
func (c *client) callOn(conn *websock.Conn, s *subscription) error {
	id, answered := c.begin(s)
	defer c.forget(id)
	text, err := json.Marshal(request{Version: "2.0", ID: id, Method: s.method, Params: s.params})
	if err != nil {
		return err
	}
	if err := conn.SendText(text); err != nil {
		return err
	}
	for text = nil; ; {
		if _, text, err = conn.RecvMessage(text[:0]); err != nil {
			return err
		}
		c.receive(conn, text)
		select {
		case a := <-answered:
			return a.err
		default:
		}
	}
}

// update gives a notification to its subscription. It returns false if there is none.
func (c *client) update(params json.RawMessage) bool {
	var p struct {
		Subscription json.RawMessage `json:"subscription"`
		Result       json.RawMessage `json:"result"`
	}
	if json.Unmarshal(params, &p) != nil || len(p.Subscription) == 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.byID[string(p.Subscription)]
	if s == nil {
		return false
	}
	select {
	case s.updates <- update{p.Result, s.gap}:
		s.gap = false
	default:
		s.gap = true
	}
	return true
}
