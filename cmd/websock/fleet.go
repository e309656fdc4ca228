package main

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// A fleet is many connections that do the same.
type fleet struct {
	urls    []string
	config  websock.Config
	message *message
	window  int // messages in flight on each connection

	echoes    []*echo // those that came up, once dial has returned
	latencies []*latency
	failures  *failures
	begin     time.Time

	up       atomic.Int64
	open     sync.WaitGroup // connections that were up and have not ended
	stopping atomic.Bool    // nothing more is sent
	closing  atomic.Bool    // connections end because we say so
}

func newFleet(urls []string, config websock.Config, m *message, window, n int) *fleet {
	f := &fleet{
		urls:      urls,
		config:    config,
		message:   m,
		window:    window,
		echoes:    make([]*echo, n),
		latencies: make([]*latency, min(n, 4*runtime.GOMAXPROCS(0))),
		failures:  newFailures(),
		begin:     time.Now(),
	}
	for i := range f.latencies {
		f.latencies[i] = newLatency()
	}
	return f
}

// now returns the time since the fleet began, in nanoseconds.
func (f *fleet) now() int64 { return int64(time.Since(f.begin)) }

// gathers reports whether a whole window can wait in a connection's send buffer.
// So much is also taken by the buffers of sockets, whether the server reads or
// not.
func (f *fleet) gathers() bool {
	return f.window <= (engine.DefaultSendQueue-1)/(len(f.message.content)+engine.MaxHeaderSize)
}

// maxHandshakes is how many connections are opened at the same time.
const maxHandshakes = 128

// dial opens the connections, at most rate in a second; 0: as fast as it goes.
func (f *fleet) dial(ctx context.Context, rate float64) {
	var workers sync.WaitGroup
	var next atomic.Int64
	begin := time.Now()
	for range min(len(f.echoes), maxHandshakes) {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(f.echoes) || !pace(ctx, begin, i, rate) {
					return
				}
				f.dialOne(ctx, i)
			}
		})
	}
	workers.Wait()
	f.echoes = slices.DeleteFunc(f.echoes, func(e *echo) bool { return e == nil })
}

// pace waits until it is the turn of connection i, and returns false when ctx ends.
func pace(ctx context.Context, begin time.Time, i int, rate float64) bool {
	if rate == 0 {
		return ctx.Err() == nil
	}
	turn := begin.Add(time.Duration(float64(i) / rate * float64(time.Second)))
	return wait(ctx, time.Until(turn))
}

// wait returns true after d, and false when ctx ends before.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// dialOne opens connection i. Its echoes are pushed to a Handler: with one message in
// flight that costs as much as pulling them, but of many, those that come in one
// read are answered in one write.
func (f *fleet) dialOne(ctx context.Context, i int) {
	e := newEcho(f, i)
	config := f.config
	config.Handler = engine.Messages(e.deliver, e.finish)
	f.open.Add(1)
	conn, err := websock.Dial(ctx, f.urls[i%len(f.urls)], &config)
	if err != nil {
		f.open.Done()
		if ctx.Err() == nil { // else it is no failure
			f.failures.add(dialFailure(err), 1, err)
		}
		return
	}
	e.conn = conn
	f.echoes[i] = e
	f.up.Add(1)
}

// exchange keeps messages in flight until d has passed, ctx ends, or no connection
// is left.
func (f *fleet) exchange(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	go func() {
		f.open.Wait()
		cancel()
	}()
	// Each starts in a goroutine of its own: a single one that started them all
	// would have to take turns with those that are busy already.
	var starting sync.WaitGroup
	for _, e := range f.echoes {
		starting.Go(e.start)
	}
	<-ctx.Done()
	f.stopping.Store(true)
	starting.Wait()
}

// drain waits for the echoes that are due, at most d, and counts those that didn't
// come.
func (f *fleet) drain(d time.Duration) {
	const pause = time.Millisecond
	for end := time.Now().Add(d); f.inFlight() > 0 && time.Now().Before(end); {
		time.Sleep(pause)
	}
	if missing := f.inFlight(); missing > 0 {
		f.failures.add("echo timeout", missing, nil)
	}
}

// close performs the closing handshake on all connections.
func (f *fleet) close() {
	f.closing.Store(true)
	ended := make(chan struct{})
	for _, e := range f.echoes {
		go e.conn.Close() // how it went, finish is told
	}
	go func() {
		f.open.Wait()
		close(ended)
	}()
	const limit = 3 * engine.DefaultCloseTimeout // to write, to wait for the server, and some more
	select {
	case <-ended:
	case <-time.After(limit):
		f.failures.add("close timeout", f.stillOpen(), nil)
	}
}

func (f *fleet) inFlight() (n int64) {
	for _, e := range f.echoes {
		n += e.inFlight()
	}
	return n
}

func (f *fleet) stillOpen() (n int64) {
	for _, e := range f.echoes {
		if !e.closed.Load() {
			n++
		}
	}
	return n
}

func (f *fleet) totals() (sent, received int64) {
	for _, e := range f.echoes {
		sent += e.sent.Load()
		received += e.received.Load()
	}
	return sent, received
}

func (f *fleet) latency() percentiles {
	all := newLatency()
	for _, l := range f.latencies {
		all.merge(l)
	}
	return all.percentiles()
}
