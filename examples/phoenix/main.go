// Command phoenix joins a channel of a Phoenix server (Elixir), prints its events, and pushes each line
// of the standard input as an event. Lost connections are dialed, and channels joined, again.
//
//	go run ./examples/phoenix ws://127.0.0.1:4000/socket/websocket room:lobby shout
//
// The lines are JSON, such as {"text":"hello"}. The protocol is version 2.0.0 of Phoenix.Socket.V2.JSONSerializer.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: phoenix URL topic event")
	}
	c, err := newClient(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	defer c.close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ch, err := c.join(ctx, os.Args[2], struct{}{}, func(event string, payload json.RawMessage) {
		fmt.Printf("%s %s\n", event, payload)
	})
	if err != nil {
		log.Print(err)
		return
	}
	go func() {
		defer stop()
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			push(ctx, ch, os.Args[3], lines.Bytes())
		}
	}()
	<-ctx.Done()
}

// push pushes an event, and prints the reply.
func push(ctx context.Context, ch *channel, event string, payload json.RawMessage) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	response, err := ch.push(ctx, event, payload)
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Printf("reply %s\n", response)
}
