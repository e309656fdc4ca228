package main

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/examples/marketdata/internal/exchange"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/internal/netpair"
)

// A lab is an exchange and a feed of it in a bubble of testing/synctest, joined by pipes.
type lab struct {
	t        *testing.T
	exchange *exchange.Exchange
	server   *http.Server
	pipes    netpair.Pipes
	feed     *feed
	alarms   []alarm
}

// newLab changes the settings before the feed starts. shutDown has to be called before the bubble ends,
// which fails the test if a goroutine is left.
func newLab(t *testing.T, change func(*exchange.Exchange, *settings)) *lab {
	t.Helper()
	l := &lab{t: t, exchange: exchange.New(7, "BTC-USD", "ETH-USD"), pipes: netpair.NewPipes()}
	s := settings{
		target:        fanout.Target{URL: "ws://exchange.example/", Config: l.config()},
		symbols:       []string{"BTC-USD", "ETH-USD"},
		subscriptions: 4,
		lifetime:      23*time.Hour + 50*time.Minute,
		stale:         5 * time.Second,
	}
	if change != nil {
		change(l.exchange, &s)
	}
	l.server = &http.Server{Handler: l.exchange}
	go l.server.Serve(l.pipes)
	var err error
	if l.feed, err = startFeed(s); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lab) config() websock.Config {
	return websock.Config{
		NetDial: l.pipes.Dial,
		Proxy:   websock.NoProxy,
		Limits:  websock.Limits{MessageSize: 1 << 20},
	}
}

func (l *lab) shutDown() {
	l.feed.close()
	l.server.Close()
	l.exchange.Close()
	time.Sleep(time.Minute) // so that what ends connections comes to its end
}

// step has the exchange make an update, which is there after it, and lets time pass.
func (l *lab) step(d time.Duration) {
	l.exchange.Step()
	time.Sleep(d)
	synctest.Wait()
	for {
		select {
		case a := <-l.feed.alarms:
			l.alarms = append(l.alarms, a)
			continue
		default:
		}
		return
	}
}

func (l *lab) steps(n int) {
	for range n {
		l.step(time.Second)
	}
}

// alarmed reports whether there was an alarm with the error.
func (l *lab) alarmed(err error) bool {
	return slices.ContainsFunc(l.alarms, func(a alarm) bool { return errors.Is(a.err, err) })
}

// rightOrNotLive asserts that the books that are live are those of the exchange, and reports whether all
// of them are live.
func (l *lab) rightOrNotLive() (live bool) {
	l.t.Helper()
	live = true
	for _, symbol := range l.feed.symbols {
		bids, asks, ok := l.feed.book(symbol)
		live = live && ok
		if ok && !equals(l.exchange, symbol, bids, asks) {
			wantBids, wantAsks := l.exchange.Levels(symbol)
			l.t.Fatalf("%s has %v, %v; the exchange has %v, %v", symbol, bids, asks, wantBids, wantAsks)
		}
	}
	return live
}

// right asserts that all books are live and those of the exchange.
func (l *lab) right() {
	l.t.Helper()
	if !l.rightOrNotLive() {
		l.t.Fatalf("not all books are live; alarms: %v", l.alarms)
	}
}

func equals(e *exchange.Exchange, symbol string, bids, asks []level) bool {
	same := func(l level, text [2]string) bool { return l.price == text[0] && l.size == text[1] }
	wantBids, wantAsks := e.Levels(symbol)
	return slices.EqualFunc(bids, wantBids, same) && slices.EqualFunc(asks, wantAsks, same)
}
