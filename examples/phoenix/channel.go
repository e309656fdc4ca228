package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
)

// A channel is a conversation about a topic.
type channel struct {
	client *client
	topic  string
	params any
	handle func(event string, payload json.RawMessage)

	// Guarded by the client's lock.
	joinRef string // of the join that holds at present; "": none
	left    bool   // a join under way comes too late
}

// join joins a topic, waiting for a connection if there is none, until ctx ends. From then on handle is called
// with the events of the topic, and those of the protocol: see eventJoin. It is called by the
// goroutine that receives, so it must not wait for a reply. A topic is joined once at a time.
func (c *client) join(ctx context.Context, topic string, params any, handle func(event string, payload json.RawMessage)) (*channel, error) {
	c.mu.Lock()
	known, count := c.channels[topic] != nil, len(c.channels)
	c.mu.Unlock()
	if known || count >= maxChannels {
		return nil, fmt.Errorf("joining %s: %w", topic, errTooMany)
	}
	ch := &channel{client: c, topic: topic, params: params, handle: handle}
	for {
		_, err := c.request(ctx, ch.joining(), ch)
		if err == nil {
			return ch, nil
		}
		if !errors.Is(err, fanout.ErrDown) && !errors.Is(err, errLost) {
			return nil, fmt.Errorf("joining %s: %w", topic, err)
		}
		if err := c.group.WaitUp(ctx, 1); err != nil {
			return nil, fmt.Errorf("joining %s: %w", topic, errors.Join(err, c.group.Slot(0).Err()))
		}
	}
}

func (ch *channel) joining() message {
	return message{Topic: ch.topic, Event: eventJoin, Payload: ch.params}
}

// joinAgain joins all channels on a new connection, before anything else is sent on it. A channel that
// the server refuses is over.
func (c *client) joinAgain(_ context.Context, _ *fanout.Slot, conn *websock.Conn) error {
	c.mu.Lock()
	wanted := slices.Collect(maps.Values(c.channels))
	c.mu.Unlock()
	for _, ch := range wanted {
		if err := ch.joinOn(conn); err != nil && !errors.As(err, new(refusal)) {
			return err
		}
	}
	return nil
}

// joinOn joins a channel, and handles what else is received until the reply. The context of OnConnect
// bounds it, as that ends receives on conn.
func (ch *channel) joinOn(conn *websock.Conn) error {
	c := ch.client
	ref, answered, err := c.begin(ch)
	if err != nil {
		return err
	}
	defer c.forget(ref)
	text, err := requestText(ch.joining(), ref, ch)
	if err != nil {
		return err
	}
	if err := conn.SendText(text); err != nil {
		return err
	}
	for msg := []byte(nil); ; {
		var op websock.Opcode
		if op, msg, err = conn.RecvMessage(msg[:0]); err != nil {
			return err
		}
		c.receive(op, msg)
		select {
		case a := <-answered:
			return a.err
		default:
		}
	}
}

// rejoin joins a channel that has crashed, after a while that grows if that fails. It leaves a channel
// whose connection is lost to joinAgain.
func (ch *channel) rejoin() {
	c := ch.client
	for failures := 1; ; failures++ {
		select {
		case <-time.After(backoff.Delay(failures, nil)):
		case <-c.ctx.Done():
			return
		}
		c.mu.Lock()
		wanted := c.channels[ch.topic] == ch && ch.joinRef == ""
		c.mu.Unlock()
		if !wanted {
			return
		}
		ctx, cancel := context.WithTimeout(c.ctx, 10*time.Second)
		_, err := c.request(ctx, ch.joining(), ch)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			return
		}
	}
}

// push sends an event and returns the response to it. It does not wait for a connection: errNotJoined and
// fanout.ErrDown mean that nothing was sent.
func (ch *channel) push(ctx context.Context, event string, payload any) (json.RawMessage, error) {
	ch.client.mu.Lock()
	ref := ch.joinRef
	ch.client.mu.Unlock()
	if ref == "" {
		return nil, errNotJoined
	}
	return ch.client.request(ctx, message{JoinRef: ref, Topic: ch.topic, Event: event, Payload: payload}, nil)
}

// leave leaves the channel: no more events go to its handler.
func (ch *channel) leave(ctx context.Context) error {
	c := ch.client
	c.mu.Lock()
	ref := ch.joinRef
	ch.joinRef, ch.left = "", true
	if c.channels[ch.topic] == ch {
		delete(c.channels, ch.topic)
	}
	c.mu.Unlock()
	if ref == "" {
		return nil
	}
	_, err := c.request(ctx, message{JoinRef: ref, Topic: ch.topic, Event: eventLeave, Payload: struct{}{}}, nil)
	if errors.Is(err, fanout.ErrDown) || errors.Is(err, errLost) {
		return nil // it was left with the connection
	}
	return err
}
