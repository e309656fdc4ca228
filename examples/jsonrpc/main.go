// Command jsonrpc calls a method of a JSON-RPC server once a second over a WebSocket connection,
// which it dials again when it is lost. With -subscribe it calls a method that subscribes to something,
// and prints the updates.
//
//	go run ./examples/jsonrpc wss://node.example/ eth_blockNumber '[]'
//	go run ./examples/jsonrpc -subscribe wss://node.example/ eth_subscribe '["newHeads"]'
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"
)

func main() {
	subscribe := flag.Bool("subscribe", false, "the method subscribes: print the updates")
	flag.Parse()
	if flag.NArg() != 3 || !json.Valid([]byte(flag.Arg(2))) {
		log.Fatal("usage: jsonrpc [-subscribe] URL method params")
	}
	client, err := newClient(flag.Arg(0), func(method string, params json.RawMessage) {
		log.Printf("notification: %s %s", method, params)
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := callEverySecond
	if *subscribe {
		run = printUpdates
	}
	run(ctx, client, flag.Arg(1), json.RawMessage(flag.Arg(2)))
}

func callEverySecond(ctx context.Context, c *client, method string, params json.RawMessage) {
	for ctx.Err() == nil {
		callOnce(ctx, c, method, params)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// callOnce makes a call with a timeout of ten seconds, and prints the result.
func callOnce(ctx context.Context, c *client, method string, params json.RawMessage) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var result json.RawMessage
	if err := c.call(ctx, method, params, &result); err != nil {
		log.Print(err)
		return
	}
	fmt.Printf("%s\n", result)
}

// printUpdates prints what comes until ctx or the subscription ends. The server forgets the
// subscription when the connection is closed.
func printUpdates(ctx context.Context, c *client, method string, params json.RawMessage) {
	s, err := c.subscribe(ctx, method, params, 1000)
	if err != nil {
		log.Print(err)
		return
	}
	for {
		select {
		case u, ok := <-s.updates:
			if !ok {
				return
			}
			if u.Gap {
				log.Print("updates may be missing here")
			}
			fmt.Printf("%s\n", u.Result)
		case <-ctx.Done():
			return
		}
	}
}
