package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/seed004e8d11/websock/fanout"
)

// firstResubscribe is the first code of an unsubscribe after which a subscription is to be made again.
const firstResubscribe = 2500

// A subscription gets the publications of a channel.
type subscription struct {
	client  *client
	channel string
	handle  func(publication)

	// Guarded by the client's lock. The position is that of the last publication.
	begun       bool
	recoverable bool
	epoch       string
	offset      uint64
	gap         bool // the next publication is to have Gap
	ended       bool
}

// subscribe subscribes to a channel, waiting for a connection if there is none, until ctx ends. From then on
// handle is called with its publications: by the goroutine that receives, so it must not wait for
// a reply. Each publication comes once, also after a connection was lost. A channel is
// subscribed to once at a time.
func (c *client) subscribe(ctx context.Context, channel string, handle func(publication)) (*subscription, error) {
	s := &subscription{client: c, channel: channel, handle: handle}
	c.mu.Lock()
	known, count := c.subscriptions[channel] != nil, len(c.subscriptions)
	c.mu.Unlock()
	if known || count >= maxChannels {
		return nil, fmt.Errorf("subscribing to %s: %w", channel, errTooMany)
	}
	for {
		err := c.do(ctx, command{Subscribe: &subscribeRequest{Channel: channel, Recoverable: true}}, s)
		if err == nil {
			return s, nil
		}
		if !errors.Is(err, fanout.ErrDown) && !errors.Is(err, errLost) {
			s.end()
			return nil, fmt.Errorf("subscribing to %s: %w", channel, err)
		}
		if err := c.group.WaitUp(ctx, 1); err != nil {
			s.end()
			return nil, fmt.Errorf("subscribing to %s: %w", channel, errors.Join(err, c.group.Slot(0).Err()))
		}
	}
}

// commandLocked returns the command that subscribes again, from where the last connection has ended.
func (s *subscription) commandLocked() command {
	r := &subscribeRequest{Channel: s.channel, Recoverable: true}
	if s.recoverable {
		r.Recover, r.Epoch, r.Offset = true, s.epoch, s.offset
	}
	return command{Subscribe: r}
}

// beginLocked begins the subscription on a connection. It returns the publications that were recovered.
func (s *subscription) beginLocked(r subscribeResult) (recovered []publication) {
	if !r.Recovered {
		s.gap = s.begun // what came while there was no connection is missing
		s.offset = 0
	}
	s.begun, s.recoverable, s.epoch = true, r.Recoverable, r.Epoch
	for _, p := range r.Publications {
		if s.acceptLocked(&p) {
			recovered = append(recovered, p)
		}
	}
	s.offset = max(s.offset, r.Offset)
	return recovered
}

// acceptLocked reports whether a publication is new, and notes its position.
func (s *subscription) acceptLocked(p *publication) bool {
	if p.Offset != 0 && p.Offset <= s.offset {
		return false
	}
	s.offset = max(s.offset, p.Offset)
	p.Gap, s.gap = s.gap, false
	return true
}

// pushed handles what the server sends of itself.
func (c *client) pushed(p *push) {
	c.mu.Lock()
	s := c.subscriptions[p.Channel]
	isNew := s != nil && p.Pub != nil && s.acceptLocked(p.Pub)
	c.mu.Unlock()
	switch {
	case isNew:
		s.handle(*p.Pub)
	case s != nil && p.Unsubscribe != nil && p.Unsubscribe.Code >= firstResubscribe:
		c.group.Slot(0).Reconnect() // which makes all subscriptions again
	case s != nil && p.Unsubscribe != nil:
		s.refused(fmt.Errorf("unsubscribed: %d, %s", p.Unsubscribe.Code, p.Unsubscribe.Reason))
	}
}

// refused ends a subscription that the server has ended, or does not make again.
func (s *subscription) refused(err error) {
	log.Printf("centrifugo: %s: %v", s.channel, err)
	s.end()
}

func (s *subscription) end() {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	s.ended = true
	if s.client.subscriptions[s.channel] == s {
		delete(s.client.subscriptions, s.channel)
	}
}

// unsubscribe ends the subscription. Without a connection there is nothing to end at the server.
func (s *subscription) unsubscribe(ctx context.Context) error {
	s.end()
	err := s.client.do(ctx, command{Unsubscribe: &unsubscribeRequest{s.channel}}, nil)
	if errors.Is(err, fanout.ErrDown) || errors.Is(err, errLost) {
		return nil
	}
	return err
}
