// Command centrifugo subscribes to a channel of a Centrifugo server, prints its publications, and publishes
// each line of the standard input, which is JSON. When the connection is lost, it is dialed again,
// and what was published meanwhile is recovered if the channel keeps a history.
//
//	TOKEN=… go run ./examples/centrifugo ws://127.0.0.1:8000/connection/websocket news
//
// It was tried with the server of github.com/centrifugal/centrifuge 0.40.1.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: centrifugo URL channel")
	}
	c, err := newClient(os.Args[1], func(context.Context) (string, error) { return os.Getenv("TOKEN"), nil })
	if err != nil {
		log.Fatal(err)
	}
	defer c.close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	_, err = c.subscribe(ctx, os.Args[2], func(p publication) {
		if p.Gap {
			log.Print("publications are missing here")
		}
		fmt.Printf("%d %s\n", p.Offset, p.Data)
	})
	if err != nil {
		log.Print(err)
		return
	}
	go func() {
		defer stop()
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			publish(ctx, c, os.Args[2], lines.Bytes())
		}
	}()
	<-ctx.Done()
}

func publish(ctx context.Context, c *client, channel string, data []byte) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := c.publish(ctx, channel, data); err != nil {
		log.Print(err)
	}
}
