package main

import (
	"context"
	"encoding/json"
	"log"
	"log/slog"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/transport/epoll"
)

// What browsers are told of the upstream connection.
var (
	upMessage   = mustPrepare(`{"upstream":"up"}`)
	downMessage = mustPrepare(`{"upstream":"down"}`)
)

func mustPrepare(text string) *websock.PreparedMessage {
	pm, err := websock.NewPreparedMessage(websock.OpText, []byte(text))
	if err != nil {
		panic(err)
	}
	return pm
}

// connect keeps a connection to the upstream open until shutdown.
func (g *gateway) connect(url string) (err error) {
	g.upstream, err = fanout.Start(fanout.Options{
		Targets: []fanout.Target{{URL: url, Config: websock.Config{
			Transport: epoll.Transport(),
			Limits:    websock.Limits{MessageSize: 64 << 10},
		}}},
		Backoff:   fanout.Backoff{Base: 100 * time.Millisecond, Max: 10 * time.Second},
		Permanent: func(error) bool { return false }, // there is no other upstream: dial it again after any failure
		OnConnect: g.upstreamConnected,
		OnMessage: g.upstreamMessage,
		OnDown:    func(slot *fanout.Slot, _ error, _ time.Duration) { g.upstreamChanged(slot) },
		Logger:    slog.Default(),
	})
	return err
}

// upstreamConnected has the upstream told of all topics as soon as the slot is up: requests are sent with
// the slot, so that those of browsers that come meanwhile are neither lost nor sent twice.
func (g *gateway) upstreamConnected(_ context.Context, slot *fanout.Slot, _ *websock.Conn) error {
	g.mu.Lock()
	clear(g.told)
	g.mu.Unlock()
	go func() {
		if slot.Group().WaitUp(g.ending, 1) == nil {
			g.upstreamChanged(slot)
		}
	}()
	return nil
}

// upstreamChanged tells the browsers whether the upstream is connected, and the upstream of their topics.
func (g *gateway) upstreamChanged(slot *fanout.Slot) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tellLocked(slot)
	status := downMessage
	if slot.State() == fanout.Up {
		status = upMessage
	}
	if status == g.status {
		return
	}
	g.status = status
	for b := range g.browsers {
		b.send("", status)
	}
}

// tellLocked sends the upstream what its connection has not been told. What can't be sent is sent with the
// next connection, or with the next change.
func (g *gateway) tellLocked(slot *fanout.Slot) {
	for name := range g.topics {
		if !g.told[name] {
			if !ask(slot, request{Subscribe: name}) {
				return
			}
			g.told[name] = true
		}
	}
	for name := range g.told {
		if g.topics[name] == nil {
			if !ask(slot, request{Unsubscribe: name}) {
				return
			}
			delete(g.told, name)
		}
	}
}

// ask sends a request and reports whether it was accepted. It does not wait.
func ask(slot *fanout.Slot, r request) bool {
	text, err := json.Marshal(r)
	return err == nil && slot.SendText(text) == nil
}

func (g *gateway) upstreamMessage(_ *fanout.Slot, _ websock.Opcode, msg []byte) {
	var m struct {
		Topic string `json:"topic"`
	}
	err := json.Unmarshal(msg, &m)
	if err == nil {
		err = g.publish(m.Topic, msg)
	}
	if err != nil {
		log.Printf("upstream: %v: %.100q", err, msg)
	}
}
