package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
)

// settings say what a feed subscribes to, and what the exchange allows.
type settings struct {
	target        fanout.Target
	symbols       []string
	subscriptions float64       // a second, on all connections together
	lifetime      time.Duration // after which a connection is replaced: somewhat less than the exchange allows
	stale         time.Duration // after which a book of which nothing was heard is an alarm
}

// calm is how long a line subscribes to nothing after a book was wrong twice in this time: if all checksums
// are wrong since the exchange has changed them, it must not get subscriptions without end.
const calm = 10 * time.Second

// The close codes of this exchange. Every exchange has its own, from 4000 to 4999.
const (
	closeMaintenance websock.CloseCode = 4001 // come back in a minute
	closeBanned      websock.CloseCode = 4003 // don't come back
)

var (
	errStale    = errors.New("nothing was heard of it")
	errRefused  = errors.New("the exchange refuses the subscription")
	errNotJSON  = errors.New("a message is not JSON")
	errTooLarge = errors.New("a message is larger than expected")
	errLost     = errors.New("the connection is lost")
	errStopped  = errors.New("the exchange doesn't want us any more")
)

// An alarm is something that the operator may want to know. The feed goes on, except after errStopped.
type alarm struct {
	line   string
	symbol string // "": all
	err    error
}

func (a alarm) String() string {
	return fmt.Sprintf("line %s %s: %v", a.line, cmp.Or(a.symbol, "(all books)"), a.err)
}

// A feed keeps the order books of some symbols, over one connection at a time, or two while one is
// replaced.
type feed struct {
	settings
	group   *fanout.Group
	alarms  chan alarm    // dropped while nobody receives them
	changed chan struct{} // receives after books have changed
	stop    chan struct{}
	ticking sync.WaitGroup

	mu    sync.Mutex
	lines []*line // the first one is shown; the second one is to replace it
	count int     // of lines so far
}

// A line is a connection and the books as it has them. If it is lost, fanout dials it again.
type line struct {
	slot   *fanout.Slot
	up     bool
	since  time.Time // of being up, or since when it is dialed
	paused time.Time // until when no subscription is made
	books  map[string]*book
}

func startFeed(s settings) (*feed, error) {
	f := &feed{settings: s, alarms: make(chan alarm, 64), changed: make(chan struct{}, 1), stop: make(chan struct{})}
	var err error
	f.group, err = fanout.Start(fanout.Options{
		Targets:   []fanout.Target{s.target},
		Size:      -1, // lines are added below
		Pace:      fanout.Pace{Rate: 1, PerHost: 1},
		OnConnect: f.connected,
		OnMessage: f.receive,
		OnDown:    f.down,
		Logger:    slog.Default(),
		Permanent: func(err error) bool { return closedWith(err, closeBanned) || fanout.Permanent(err) },
		RetryAfter: func(err error) time.Duration {
			if closedWith(err, closeMaintenance) {
				return time.Minute
			}
			return 0 // fanout knows Retry-After and the close codes 1012 and 1013
		},
	})
	if err != nil {
		return nil, err
	}
	f.addLine()
	f.ticking.Go(f.tick)
	return f, nil
}

// closedWith reports whether the exchange has closed the connection with the code.
func closedWith(err error, code websock.CloseCode) bool {
	var closed *websock.CloseError
	return errors.As(err, &closed) && !closed.Local && closed.Code == code
}

// addLine has another connection dialed.
func (f *feed) addLine() {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := &line{since: time.Now(), books: map[string]*book{}}
	for _, symbol := range f.symbols {
		l.books[symbol] = &book{}
	}
	f.count++
	slot, err := f.group.Add(strconv.Itoa(f.count), fanout.SlotOptions{Value: l})
	if err != nil {
		return // the feed is being closed
	}
	l.slot = slot
	f.lines = append(f.lines, l)
}

// connected is called when a line has a new connection. tick subscribes.
func (f *feed) connected(_ context.Context, slot *fanout.Slot, _ *websock.Conn) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := slot.Value().(*line)
	l.up, l.since, l.paused = true, time.Now(), time.Time{}
	return nil
}

// down is called when a line has lost its connection or could not be connected.
func (f *feed) down(slot *fanout.Slot, err error, next time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	slot.Value().(*line).downLocked()
	f.notify()
	switch fanout.ReasonOf(err) {
	case fanout.ShutDown, fanout.Ended: // by us
		return
	}
	what := errLost
	switch {
	case next < 0:
		what = errStopped
	case errors.As(err, new(*websock.LimitError)): // raise the limit if this comes again
		what = errTooLarge
	}
	f.alarm(slot, "", fmt.Errorf("%w: %w", what, err))
}

// downLocked ignores the connection from now on. Its books have to be subscribed on the next one.
func (l *line) downLocked() {
	l.up, l.since = false, time.Now()
	for _, b := range l.books {
		b.state = wanted
	}
}

// notify tells the reader that a book has changed. A reader that is slow is told once of many changes.
func (f *feed) notify() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

func (f *feed) alarm(slot *fanout.Slot, symbol string, err error) {
	select {
	case f.alarms <- alarm{slot.Key(), symbol, err}:
	default:
	}
}

// receive handles a message of the exchange. The calls for one line are in order.
func (f *feed) receive(slot *fanout.Slot, _ websock.Opcode, msg []byte) {
	var m message
	if err := json.Unmarshal(msg, &m); err != nil {
		f.distrust(slot, err)
		return
	}
	if replaced := f.handle(slot, &m); replaced != nil {
		replaced.slot.Remove() // outside the lock, since it may call down
	}
}

// distrust replaces a connection on which something came that can't be understood: nobody knows which
// book that was about.
func (f *feed) distrust(slot *fanout.Slot, err error) {
	f.mu.Lock()
	slot.Value().(*line).downLocked()
	f.mu.Unlock()
	f.alarm(slot, "", fmt.Errorf("%w: %w", errNotJSON, err))
	slot.Conn().CloseWith(websock.CloseInvalidPayload, "not JSON") // and not Reconnect, which doesn't wait
}

// handle changes the book that a message is about. It returns the line that is no longer needed, or nil.
func (f *feed) handle(slot *fanout.Slot, m *message) (replaced *line) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := slot.Value().(*line)
	b := l.books[m.Symbol]
	if !l.up || b == nil {
		return nil
	}
	now := time.Now()
	var err error
	switch {
	case m.Type == "error":
		err = fmt.Errorf("%w: %s", errRefused, m.Error)
		l.paused = now.Add(time.Second)
	case m.Type == "snapshot":
		err = b.reset(m)
	case m.Type == "update" && b.state == live:
		err = b.update(m)
	default: // an update of the subscription before
		return nil
	}
	b.heard = now
	f.notify()
	if err != nil {
		f.alarm(slot, m.Symbol, err)
		b.state = wanted // subscribing once more gets a fresh snapshot
		if now.Sub(b.wrong) < calm && m.Type != "error" {
			l.paused = now.Add(calm)
		}
		b.wrong = now
		return nil
	}
	if len(f.lines) == 2 && f.lines[1].replaces(f.lines[0]) {
		replaced = f.lines[0]
		f.lines = f.lines[1:]
	}
	return replaced
}

// replaces reports whether a line has all books and is not behind another one. The sequence numbers of
// two connections can't be compared, but the exchange's time can.
func (l *line) replaces(old *line) bool {
	for symbol, b := range l.books {
		before := old.books[symbol]
		if b.state != live || before.state == live && b.at < before.at {
			return false
		}
	}
	return true
}

// book returns a copy of a book; ok says that it is that of the exchange now. Otherwise it is the last
// one that was known.
func (f *feed) book(symbol string) (bids, asks []level, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.lines[0].books[symbol]
	if b == nil {
		return nil, nil, false
	}
	return append(bids, b.bids...), append(asks, b.asks...), b.state == live
}

// close closes the connections. The feed must not be used any more.
func (f *feed) close() {
	close(f.stop)
	f.ticking.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	f.group.Shutdown(ctx) // aborts what is left after 5 seconds
}
