package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/seed004e8d11/websock/engine"
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

// toAll sends text to all connections. A client that doesn't read is dropped: on an event
// loop when its queue is full, else once it has held up the others for a while.
func (s *serve) toAll(text []byte) {
	const patience = 2 * time.Second
	for _, conn := range s.conns.all() {
		conn.SetSendDeadline(time.Now().Add(patience))
		var full *engine.LimitError
		switch err := conn.SendText(text); { // any other failure ends in finish
		case errors.As(err, &full):
			conn.CloseWith(engine.ClosePolicyViolation, "too slow")
		case errors.Is(err, os.ErrDeadlineExceeded): // no close frame can follow a part of a frame
			conn.Abort(err)
		}
	}
}
