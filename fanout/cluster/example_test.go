package cluster_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/fanout/cluster"
)

// This process is the only member of its cluster, and runs the NATS server. Others that are started with
// the same options, on the same machine, take their share of the keys, and take over when this one ends.
func ExampleStart() {
	prices := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := websock.Accept(w, r, nil); err == nil {
			c.SendText([]byte("a price of " + strings.TrimPrefix(r.URL.Path, "/")))
			c.RecvMessage(nil) // until the client closes
			c.Close()
		}
	}))
	defer prices.Close()
	dir, err := os.MkdirTemp("", "cluster")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	received := make(chan string)
	c, err := cluster.Start(context.Background(), cluster.Options{
		Dir:  dir, // the default would do
		Keys: cluster.Static("BTC", "ETH"),
		Fanout: fanout.Options{
			Choose: func(s *fanout.Slot) fanout.Target {
				return fanout.Target{URL: prices.URL + "/" + s.Key()}
			},
			OnMessage: func(s *fanout.Slot, op websock.Opcode, msg []byte) {
				received <- string(msg)
			},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-received)
	fmt.Println(<-received)

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := c.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Unordered output:
	// a price of BTC
	// a price of ETH
}
