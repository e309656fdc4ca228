package main

import (
	"context"
	"encoding/json"
	"log"
	"log/slog"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/transport/epoll"
)

// A quote is a message of a venue. Each venue numbers its quotes from 1.
type quote struct {
	Venue  string  `json:"-"`
	Number int64   `json:"number"`
	Symbol string  `json:"symbol"`
	Price  float64 `json:"price"`
}

// subscription asks a venue for the quotes after a number.
type subscription struct {
	After int64 `json:"after"`
}

// A stream is the merged feed of all venues.
type stream struct {
	quotes chan quote
	ended  chan struct{}
	group  *fanout.Group

	mu   sync.Mutex
	last map[string]int64 // number of the last quote, by venue
}

// join connects to the venues. room is the capacity of the channel of quotes.
func join(urls []string, room int) (*stream, error) {
	s := &stream{quotes: make(chan quote, room), ended: make(chan struct{}), last: map[string]int64{}}
	var targets []fanout.Target
	for _, url := range urls {
		targets = append(targets, fanout.Target{URL: url, Config: websock.Config{Transport: epoll.Transport()}})
	}
	group, err := fanout.Start(fanout.Options{
		Targets:   targets,
		Key:       func(i int) string { return urls[i] },
		Backoff:   fanout.Backoff{Base: 100 * time.Millisecond},
		OnConnect: s.subscribe,
		OnMessage: s.receive,
		Logger:    slog.Default(),
	})
	s.group = group
	return s, err
}

// subscribe asks for all quotes after the last one received, so that those missed while the
// connection was down are sent again.
func (s *stream) subscribe(_ context.Context, slot *fanout.Slot, conn *websock.Conn) error {
	s.mu.Lock()
	after := s.last[slot.Key()]
	s.mu.Unlock()
	text, err := json.Marshal(subscription{after})
	if err != nil {
		return err
	}
	return conn.SendText(text)
}

// receive puts a quote into the stream. If the channel is full, it pauses the connection of the
// venue. Blocking instead would delay the other venues.
func (s *stream) receive(slot *fanout.Slot, _ websock.Opcode, msg []byte) {
	q := quote{Venue: slot.Key()}
	if err := json.Unmarshal(msg, &q); err != nil {
		log.Printf("%s: %v", q.Venue, err)
		return
	}
	s.mu.Lock()
	known := q.Number <= s.last[q.Venue]
	if !known {
		s.last[q.Venue] = q.Number
	}
	s.mu.Unlock()
	if known {
		return
	}
	select {
	case s.quotes <- q:
	default:
		s.passOnLater(slot, q)
	}
}

func (s *stream) passOnLater(slot *fanout.Slot, q quote) {
	conn := slot.Conn()
	conn.Pause()
	go func() {
		select {
		case s.quotes <- q:
			conn.Resume()
		case <-s.ended:
		}
	}()
}

func (s *stream) close() {
	close(s.ended)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s.group.Shutdown(ctx)
}
