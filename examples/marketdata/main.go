// Command marketdata keeps the order books of an exchange, as a trading program does, and prints their
// best prices. Sequence numbers and a checksum in each update tell when a book is wrong, and it is then
// subscribed anew. A book of which nothing is heard is an alarm. A connection that is lost is dialed
// again, and one that the exchange will end after 24 hours is replaced before that.
//
// Start an exchange that misbehaves in one of a hundred steps, and a client of it:
//
//	go run ./examples/marketdata -simulate 127.0.0.1:8090 -faults 0.01
//	go run ./examples/marketdata ws://127.0.0.1:8090/ BTC-USD ETH-USD
//
// Read book.go first, which checks the messages, then feed.go, which keeps the connection, and tick.go,
// which subscribes at a limited rate and watches. The package internal/exchange is the simulation. For a
// real exchange, change message, checksum, the close codes and the settings.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/examples/marketdata/internal/exchange"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/transport/epoll"
)

func main() {
	simulated := flag.String("simulate", "", "be an exchange at this address, and not a client")
	faults := flag.Float64("faults", 0, "how often the simulated exchange misbehaves, from 0 to 1")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *simulated != "" {
		log.Fatal(simulate(*simulated, *faults))
	}
	if flag.NArg() < 2 {
		log.Fatal("usage: marketdata URL SYMBOL...")
	}
	f, err := startFeed(settings{
		target: fanout.Target{URL: flag.Arg(0), Config: websock.Config{
			Transport: epoll.Transport(),
			Limits:    websock.Limits{MessageSize: 1 << 20}, // a snapshot has some 10 KB
		}},
		symbols:       flag.Args()[1:],
		subscriptions: 4,
		lifetime:      23*time.Hour + 50*time.Minute,
		stale:         5 * time.Second,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer f.close()
	show(ctx, f)
}

// show prints alarms when they come, and the best prices once a second: a reader that is slow misses
// books, but never sees an old one.
func show(ctx context.Context, f *feed) {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		select {
		case a := <-f.alarms:
			log.Print("alarm: ", a)
		case <-every.C:
			select {
			case <-f.changed:
			default:
				continue
			}
			for _, symbol := range f.symbols {
				if bids, asks, ok := f.book(symbol); len(bids) > 0 && len(asks) > 0 {
					fmt.Printf("%s: %s × %s bid, %s × %s asked, live: %v\n", symbol,
						bids[0].size, bids[0].price, asks[0].size, asks[0].price, ok)
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

func simulate(addr string, faults float64) error {
	e := exchange.New(1, "BTC-USD", "ETH-USD", "SOL-USD")
	e.Transport = epoll.Transport()
	go func() {
		for range time.Tick(200 * time.Millisecond) {
			f := exchange.Fault(rand.N(int(exchange.Faults)))
			if rand.Float64() < faults && f != exchange.CloseBanned { // which would be the end
				log.Print("fault: ", f)
				e.Misbehave(f)
			}
			e.Step()
		}
	}()
	return http.ListenAndServe(addr, e)
}
