package main

import (
	"encoding/json"
	"time"

	"github.com/seed004e8d11/websock/fanout"
)

// tick does what is due, as often as the exchange allows subscriptions, until close.
func (f *feed) tick() {
	ticker := time.NewTicker(time.Duration(float64(time.Second) / f.subscriptions))
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			f.subscribeNext(now)
			f.checkStale(now)
			f.replaceOld(now)
		case <-f.stop:
			return
		}
	}
}

// subscribeNext makes one subscription, if any is wanted.
func (f *feed) subscribeNext(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.lines {
		if !l.up || now.Before(l.paused) {
			continue
		}
		for _, symbol := range f.symbols {
			b := l.books[symbol]
			if b.state != wanted {
				continue
			}
			request, err := json.Marshal(map[string]string{"op": "subscribe", "symbol": symbol})
			if err == nil && l.slot.SendText(request) == nil { // never waits for the exchange
				b.state, b.heard = asked, now
			}
			return
		}
	}
}

// checkStale replaces the connections on which a book has stopped. The exchange sends an update of each
// book every second, with or without changes, and a missing one means that the feed has stalled. That the
// connection is alive means nothing: the server may answer pings and have lost the subscription.
func (f *feed) checkStale(now time.Time) {
	for _, slot := range f.stalled(now) {
		slot.Reconnect() // outside the lock, since it may call down
	}
}

func (f *feed) stalled(now time.Time) (stalled []*fanout.Slot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.lines {
		if symbol, found := l.staleSymbol(now.Add(-f.stale)); l.up && found {
			l.downLocked()
			f.alarm(l.slot, symbol, errStale)
			stalled = append(stalled, l.slot)
		}
	}
	return stalled
}

// staleSymbol returns one of whose book nothing was heard since then.
func (l *line) staleSymbol(then time.Time) (symbol string, found bool) {
	for symbol, b := range l.books {
		if b.state != wanted && b.heard.Before(then) {
			return symbol, true
		}
	}
	return "", false
}

// replaceOld opens a second connection before the exchange ends the first one. When its books have
// caught up, handle ends the first one.
func (f *feed) replaceOld(now time.Time) {
	f.mu.Lock()
	old := len(f.lines) == 1 && f.lines[0].up && now.Sub(f.lines[0].since) >= f.lifetime
	f.mu.Unlock()
	if old {
		f.addLine()
	}
}
