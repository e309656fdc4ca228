// Command jsonrpc calls a method of a JSON-RPC server once a second over a WebSocket connection,
// which it dials again when it is lost.
//
//	go run ./examples/jsonrpc wss://node.example/ eth_blockNumber '[]'
package main

import (
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
		log.Fatal("usage: jsonrpc URL method params")
	}
	client, err := newClient(os.Args[1], func(method string, params json.RawMessage) {
		log.Printf("notification: %s %s", method, params)
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	for ctx.Err() == nil {
		callOnce(ctx, client, os.Args[2], json.RawMessage(os.Args[3]))
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
