package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/std"
)

// BenchmarkGoroutinesBesideALoop measures how soon other goroutines run in a program whose event
// loop is busy: how late a timer is, how long an echo over package net takes, and how long a
// goroutine waits for what a Handler hands over to it. The connections of the loop exchange small
// messages with a server, which is another process, as fast as they can.
//
//	go test -run '^$' -bench GoroutinesBesideALoop -benchtime 500x
func BenchmarkGoroutinesBesideALoop(b *testing.B) {
	url := firehoseServer(b)
	for _, procs := range []int{1, 2} {
		for _, conns := range []int{0, 1, 2, 64} {
			for name, once := range map[string]func(*testing.B, string) func() time.Duration{
				"timer": timerDelay, "net": netEcho, "handler": handOver,
			} {
				b.Run(fmt.Sprintf("%s/procs=%d/conns=%d", name, procs, conns), func(b *testing.B) {
					defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
					keepLoopBusy(b, url, conns)
					measureDelays(b, once(b, url))
				})
			}
		}
	}
}

// keepLoopBusy has a number of connections exchange messages with the server.
func keepLoopBusy(b *testing.B, url string, conns int) {
	for range conns {
		c := dialEcho(b, url, epoll.Transport(), websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) { c.SendFrame(op, true, msg) }, nil))
		if err := c.SendText(make([]byte, 128)); err != nil {
			b.Fatal(err)
		}
	}
}

func dialEcho(b *testing.B, url string, t websock.Transport, h websock.Handler) *websock.Conn {
	c, err := websock.Dial(context.Background(), url+"echo", &websock.Config{Transport: t, Handler: h})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Abort(nil) })
	return c
}

// measureDelays reports the median and the 99th percentile of what once returns.
func measureDelays(b *testing.B, once func() time.Duration) {
	var delays []time.Duration
	for b.Loop() {
		delays = append(delays, once())
	}
	slices.Sort(delays)
	for _, p := range []int{50, 99} {
		b.ReportMetric(float64(delays[len(delays)*p/100].Microseconds()), fmt.Sprintf("p%d-µs", p))
	}
}

// timerDelay measures how late a timer is.
func timerDelay(*testing.B, string) func() time.Duration {
	const d = 2 * time.Millisecond
	return func() time.Duration {
		start := time.Now()
		time.Sleep(d)
		return time.Since(start) - d
	}
}

// netEcho measures the time of an echo over package net.
func netEcho(b *testing.B, url string) func() time.Duration {
	c := dialEcho(b, url, std.Transport(), nil)
	return func() time.Duration {
		time.Sleep(time.Millisecond)
		start := time.Now()
		if err := c.SendText([]byte("echo")); err != nil {
			b.Fatal(err)
		}
		if _, _, err := c.RecvMessage(nil); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
}

// handOver measures how long a goroutine waits for a message that a Handler hands over to it.
func handOver(b *testing.B, url string) func() time.Duration {
	received := make(chan time.Time, 1)
	c := dialEcho(b, url, epoll.Transport(), websock.Messages(func(*websock.Conn, websock.Opcode, []byte) { received <- time.Now() }, nil))
	return func() time.Duration {
		time.Sleep(time.Millisecond)
		if err := c.SendText([]byte("echo")); err != nil {
			b.Fatal(err)
		}
		return time.Since(<-received)
	}
}
