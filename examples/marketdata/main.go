// Command marketdata merges the feeds of many venues into one stream. The quotes of each venue stay
// in order, and none is missing or repeated, even if connections are lost.
//
//	go run ./examples/marketdata wss://a.example/feed wss://b.example/feed
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
)

func main() {
	stream, err := join(os.Args[1:], 1024)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	for {
		select {
		case q := <-stream.quotes:
			fmt.Printf("%s %d: %s %v\n", q.Venue, q.Number, q.Symbol, q.Price)
		case <-ctx.Done():
			stream.close()
			return
		}
	}
}
