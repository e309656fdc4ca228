//go:build linux

package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/seed004e8d11/websock"
)

// A Sharing is a Client whose WebSockets share connections.
type Sharing interface {
	Client

	// CloseStreams closes the WebSockets, but not their connections.
	CloseStreams(ctx context.Context) error

	// Beside measures, while the work goes on, the latency of small messages on another WebSocket of
	// the same connection and, as the base, on one that has a connection of its own. They take turns.
	Beside(ctx context.Context, d time.Duration) (Latencies, error)

	// Stalled measures the latency of the work's messages with another WebSocket on the connection
	// that does not take what it is sent and, as the base, without. These take turns.
	Stalled(ctx context.Context, d time.Duration) (Latencies, error)
}

// Latencies are what Beside and Stalled measure.
type Latencies struct{ Measured, Base Latency }

// A Latency is the time from sending a message to receiving its echo.
type Latency struct{ P50, P99 time.Duration }

// shared is pushed with a Mux.
type shared struct {
	*pushed
	timed  atomic.Bool
	timing sync.Mutex // guards the times
	times  *hdrhistogram.Histogram
}

func newShared(w *Work, t websock.Transport) Client {
	c := &shared{pushed: newPushed(w, t).(*pushed)}
	c.config.Mux = &websock.Mux{StreamsPerConn: w.Shared, Cleartext: true}
	c.config.Handler = websock.Messages(c.deliver, c.finish)
	return c
}

// deliver is that of pushed, and notes the time if times are measured.
func (c *shared) deliver(conn *websock.Conn, op websock.Opcode, msg []byte) {
	if c.timed.Load() {
		c.addTime(conn)
	}
	c.pushed.deliver(conn, op, msg)
}

// addTime notes the time since the last message of conn was sent.
func (c *shared) addTime(conn *websock.Conn) {
	c.timing.Lock()
	defer c.timing.Unlock()
	if sent, ok := conn.Value().(*time.Time); ok {
		now := time.Now()
		if !sent.IsZero() {
			c.times.RecordValue(int64(now.Sub(*sent)))
		}
		*sent = now
	}
}

func (c *shared) finish(conn *websock.Conn, err error) {
	if !errors.Is(err, websock.ErrClosed) { // else CloseStreams was called
		c.pushed.finish(conn, err)
	}
}

func (c *shared) CloseStreams(ctx context.Context) error {
	for _, conn := range c.conns {
		conn.Abort(websock.ErrClosed)
	}
	c.conns = nil
	return c.awaitStreams(ctx, 0)
}

// awaitStreams waits until only n streams are open.
func (c *shared) awaitStreams(ctx context.Context, n int) error {
	for c.config.Mux.Stats().Streams > n {
		if err := Sleep(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func (c *shared) Beside(ctx context.Context, d time.Duration) (l Latencies, err error) {
	own := c.config
	own.Mux = &websock.Mux{Cleartext: true}
	var pingers [2]*pinger
	for i, config := range []*websock.Config{&c.config, &own} {
		if pingers[i], err = newPinger(ctx, c.URL, config); err != nil {
			return l, err
		}
	}
	if stats := c.config.Mux.Stats(); stats.Conns != 1 {
		return l, fmt.Errorf("%d connections instead of one", stats.Conns)
	}
	for began := time.Now(); time.Since(began) < d; {
		for _, p := range pingers {
			if err := p.ping(ctx); err != nil {
				return l, err
			}
		}
	}
	return Latencies{latencyOf(pingers[0].times), latencyOf(pingers[1].times)}, nil
}

func (c *shared) Stalled(ctx context.Context, d time.Duration) (l Latencies, err error) {
	const turns = 10 // of each, so that other load slows both
	base, measured := newTimes(), newTimes()
	for range turns {
		if err := c.addTimes(ctx, base, d/turns); err != nil {
			return l, err
		}
		stalled, err := c.stall(ctx)
		if err != nil {
			return l, err
		}
		if err := c.addTimes(ctx, measured, d/turns); err != nil {
			return l, err
		}
		stalled.Abort(websock.ErrClosed)
		if err := c.awaitStreams(ctx, len(c.conns)); err != nil {
			return l, err
		}
	}
	return Latencies{latencyOf(measured), latencyOf(base)}, nil
}

// stall opens a WebSocket that receives nothing, though the server sends more than its window.
func (c *shared) stall(ctx context.Context) (*websock.Conn, error) {
	config := c.config
	config.Limits.SendQueue = -1
	conn, err := websock.Dial(ctx, c.URL, &config)
	if err != nil {
		return nil, err
	}
	if stats := c.config.Mux.Stats(); stats.Conns != 1 {
		return nil, fmt.Errorf("%d connections instead of one", stats.Conns)
	}
	conn.Pause()
	if err := conn.SendBinary(make([]byte, 1<<20)); err != nil {
		return nil, err
	}
	return conn, Sleep(ctx, 50*time.Millisecond) // for the echo to fill the window
}

// addTimes adds the latencies of the work's messages.
func (c *shared) addTimes(ctx context.Context, to *hdrhistogram.Histogram, d time.Duration) error {
	c.timing.Lock()
	c.times = to
	c.timed.Store(true)
	for _, conn := range c.conns {
		conn.SetValue(new(time.Time))
	}
	c.timing.Unlock()
	err := Sleep(ctx, d)
	c.timed.Store(false)
	c.timing.Lock()
	defer c.timing.Unlock()
	for _, conn := range c.conns {
		conn.SetValue(nil)
	}
	return err
}

// A pinger has a WebSocket on which small messages are sent one by one.
type pinger struct {
	conn   *websock.Conn
	times  *hdrhistogram.Histogram
	echoed chan error
}

func newPinger(ctx context.Context, url string, config *websock.Config) (p *pinger, err error) {
	p = &pinger{times: newTimes(), echoed: make(chan error, 1)}
	own := *config
	own.Handler = websock.Messages(
		func(*websock.Conn, websock.Opcode, []byte) { p.echoed <- nil },
		func(_ *websock.Conn, err error) { p.echoed <- err })
	p.conn, err = websock.Dial(ctx, url, &own)
	return p, err
}

// ping sends a message and waits for its echo.
func (p *pinger) ping(ctx context.Context) error {
	sent := time.Now()
	if err := p.conn.SendBinary(make([]byte, 16)); err != nil {
		return err
	}
	select {
	case err := <-p.echoed:
		p.times.RecordValue(int64(time.Since(sent)))
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func newTimes() *hdrhistogram.Histogram { return hdrhistogram.New(1, int64(time.Minute), 3) }

func latencyOf(times *hdrhistogram.Histogram) Latency {
	return Latency{time.Duration(times.ValueAtQuantile(50)), time.Duration(times.ValueAtQuantile(99))}
}

// Sleep sleeps, or returns the error of ctx when that ends.
func Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
