//go:build linux

package loopback

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock/bench/client"
	"github.com/seed004e8d11/websock/bench/feed"
	"github.com/seed004e8d11/websock/bench/server"
	"golang.org/x/sys/unix"
)

// A task is the input of a client's process.
type task struct {
	Contestant  string
	Case        Case
	Timing      Timing
	Limit       time.Duration
	Address     string
	Certificate []byte // of the server
	Size        int    // of a message's payload
	Profile     string // file for a CPU profile; "": none
	Stops       bool   // the process stops itself before its work, until it is told to go on
	Watch       int    // process id of a server whose cost is measured; 0: the client's cost is
}

// play runs a client in its process.
func play(tasks *json.Decoder, answers *json.Encoder) error {
	var t task
	if err := tasks.Decode(&t); err != nil {
		return err
	}
	r, err := t.run()
	if err != nil {
		r.Error, r.LeftOut = err.Error(), errors.Is(err, ErrLeftOut)
	}
	return answers.Encode(r)
}

func (t *task) run() (Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), t.Limit)
	defer cancel()
	if t.Case.Server {
		return t.load(ctx)
	}
	switch t.Case.Kind {
	case Idle:
		return t.idle(ctx)
	case Dial:
		return t.dial(ctx)
	case Beside, Stalled:
		return t.latencies(ctx)
	}
	return t.echo(ctx)
}

func (t *task) echo(ctx context.Context) (Result, error) {
	const step = 64 // costs a fraction of a nanosecond for each message
	meter := client.NewMeter(step, 2*t.Case.Conns*t.Case.Window, t.Timing.Warmup, t.Timing.Window)
	c, err := t.open(ctx, meter, t.Case.Conns)
	if err != nil {
		return Result{}, err
	}
	if !t.Case.hasTurnaround() {
		if err := t.begin(meter, c); err != nil {
			return Result{}, err
		}
		return wait(ctx, meter)
	}
	line, err := t.trigger(ctx)
	if err != nil {
		return Result{}, err
	}
	defer line.Close()
	if _, err := line.Turnaround(); err != nil { // starts measuring
		return Result{}, err
	}
	before, err := line.Count()
	if err != nil {
		return Result{}, err
	}
	if err := t.begin(meter, c); err != nil {
		return Result{}, err
	}
	r, err := wait(ctx, meter)
	if err != nil {
		return r, err
	}
	if r.Turnaround, err = line.Turnaround(); err != nil {
		return r, err
	}
	r.Sent, err = sentSince(before, line)
	return r, err
}

// sentSince returns the mean size of the payloads that the server has echoed since the count was before.
func sentSince(before server.Count, line *server.Trigger) (bytes float64, err error) {
	now, err := line.Count()
	return float64(now.Bytes-before.Bytes) / float64(now.Messages-before.Messages), err
}

// dialWarmup is how many connections are opened first, so that one-time costs don't count.
const dialWarmup = 32

// dial measures opening connections.
func (t *task) dial(ctx context.Context) (r Result, err error) {
	meter := client.NewMeter(1, 0, 0, 0)
	c, err := t.open(ctx, meter, dialWarmup)
	if err != nil {
		return r, err
	}
	if sharing, ok := c.(client.Sharing); ok { // what is measured begins on connections that are open
		if err := dialAll(ctx, c, t.Case.Conns-dialWarmup); err != nil {
			return r, err
		}
		if err := sharing.CloseStreams(ctx); err != nil {
			return r, err
		}
	}
	if err := t.profile(); err != nil {
		return r, err
	}
	defer pprof.StopCPUProfile()
	r.Cost, err = client.Measure(t.Case.Conns, func() error { return dialAll(ctx, c, t.Case.Conns) })
	runtime.KeepAlive(c)
	return r, err
}

// latencies measures the times of single messages.
func (t *task) latencies(ctx context.Context) (r Result, err error) {
	meter := client.NewMeter(1, 0, 0, 24*time.Hour)
	c, err := t.open(ctx, meter, t.Case.Conns)
	if err != nil {
		return r, err
	}
	sharing, ok := c.(client.Sharing)
	if !ok {
		return r, fmt.Errorf("%s can't do that", t.Contestant)
	}
	measure := sharing.Beside
	if t.Case.Kind == Stalled {
		measure = sharing.Stalled
	}
	if err := t.begin(meter, c); err != nil {
		return r, err
	}
	defer pprof.StopCPUProfile()
	if err := client.Sleep(ctx, t.Timing.Warmup); err != nil {
		return r, err
	}
	r.Latencies, err = measure(ctx, t.Timing.Window)
	return r, err
}

func (t *task) begin(meter *client.Meter, c client.Client) error {
	if err := t.profile(); err != nil {
		return err
	}
	if t.Stops {
		runtime.GC() // so that what opening connections has left doesn't count
		unix.Kill(unix.Getpid(), unix.SIGSTOP)
	}
	meter.Begin()
	c.Start()
	return nil
}

// profile begins a CPU profile, if one is wanted.
func (t *task) profile() error {
	if t.Profile == "" {
		return nil
	}
	file, err := os.Create(t.Profile)
	if err != nil {
		return err
	}
	return pprof.StartCPUProfile(file)
}

func wait(ctx context.Context, meter *client.Meter) (r Result, err error) {
	select {
	case <-meter.Done():
	case <-ctx.Done():
		return r, fmt.Errorf("after %d messages: %w", meter.Total(), ctx.Err())
	}
	pprof.StopCPUProfile()
	r.Cost, err = meter.Cost()
	return r, err
}

// open opens n connections.
func (t *task) open(ctx context.Context, meter *client.Meter, n int) (client.Client, error) {
	contestant, err := client.Find(t.Contestant)
	if err != nil {
		return nil, err
	}
	if !contestant.Can(t.Case.Compression) {
		return nil, fmt.Errorf("%w: it can't compress so", ErrLeftOut)
	}
	c, err := contestant.New(t.work(meter))
	if err != nil {
		return nil, err
	}
	return c, dialAll(ctx, c, n)
}

func (t *task) work(meter *client.Meter) *client.Work {
	w := &client.Work{
		URL:         t.url(),
		TLS:         t.tls(),
		Payload:     make([]byte, t.Size),
		Window:      t.Case.Window,
		Compression: t.Case.Compression,
		Shared:      t.Case.Shared,
		Meter:       meter,
	}
	if t.Case.compresses() {
		w.Feed = feed.File()
	}
	return w
}

func (t *task) url() string { return t.Case.Scheme() + "://" + t.Address + t.Case.path() }

func (t *task) tls() *tls.Config {
	if !t.Case.Secure {
		return nil
	}
	roots := x509.NewCertPool()
	if certificate, err := x509.ParseCertificate(t.Certificate); err == nil { // otherwise dialing fails
		roots.AddCert(certificate)
	}
	config := &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
	if t.Case.Resumed {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	return config
}

// dialAll dials n connections, several at a time, until one fails.
func dialAll(ctx context.Context, c client.Client, n int) error {
	const workers = 32
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var dialing sync.WaitGroup
	var next atomic.Int64
	for range min(n, workers) {
		dialing.Go(func() {
			for next.Add(1) <= int64(n) && ctx.Err() == nil {
				if err := c.Dial(ctx); err != nil {
					cancel(fmt.Errorf("dialing: %w", err))
				}
			}
		})
	}
	dialing.Wait()
	return context.Cause(ctx)
}

func (t *task) trigger(ctx context.Context) (*server.Trigger, error) {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	var conn net.Conn
	var err error
	if t.Case.Secure {
		conn, err = (&tls.Dialer{NetDialer: dialer, Config: t.tls()}).DialContext(ctx, "tcp", t.Address)
	} else {
		conn, err = dialer.DialContext(ctx, "tcp", t.Address)
	}
	if err != nil {
		return nil, err
	}
	if end, limited := ctx.Deadline(); limited {
		conn.SetDeadline(end.Add(time.Second)) // after that of ctx, which has a better error
	}
	return server.NewTrigger(conn), nil
}
