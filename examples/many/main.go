// Command many keeps many connections to a server open, dials lost ones again, and prints
// counters once a second.
//
//	go run ./examples/many -n 5000 wss://feed.example/
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/transport/epoll"
)

func main() {
	n := flag.Int("n", 5000, "connections")
	flag.Parse()
	var messages atomic.Int64
	group, err := keepOpen(flag.Arg(0), *n, &messages)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	for every := time.Tick(time.Second); ctx.Err() == nil; {
		select {
		case <-every:
			s := group.Stats()
			log.Printf("%d up, %d opened so far, %d messages", s.Up, s.Connected, messages.Load())
		case <-ctx.Done():
		}
	}
	closing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	group.Shutdown(closing)
}

func keepOpen(url string, n int, messages *atomic.Int64) (*fanout.Group, error) {
	return fanout.Start(fanout.Options{
		Targets: []fanout.Target{{URL: url, Config: websock.Config{Transport: epoll.Transport()}}},
		Size:    n,
		Pace:    fanout.Pace{Rate: 1000, PerHost: -1}, // a server of our own can take it
		OnConnect: func(_ context.Context, s *fanout.Slot, c *websock.Conn) error {
			return c.SendText([]byte("subscribe " + s.Key()))
		},
		OnMessage: func(*fanout.Slot, websock.Opcode, []byte) { messages.Add(1) },
	})
}
