package main

import (
	"context"
	"time"
)

// broadcast sends a message to all connections at every interval, until ctx ends.
func (s *serve) broadcast(ctx context.Context) {
	m := newMessage(true, s.size)
	tick := time.NewTicker(s.push)
	defer tick.Stop()
	for number := uint64(0); ; number++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		stamp(m.content, number)
		s.toAll(m.content)
	}
}

// toAll sends text to all connections. A client that doesn't read holds up the
// others for a while, once: then it is dropped.
func (s *serve) toAll(text []byte) {
	const patience = 2 * time.Second
	for _, conn := range s.conns.all() {
		conn.SetSendDeadline(time.Now().Add(patience))
		conn.SendText(text) // a failure ends in finish
	}
}
