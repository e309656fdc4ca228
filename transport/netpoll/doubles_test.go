//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"context"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/cloudwego/netpoll"
	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport"
)

// attached returns a transport over conn.
func attached(t testing.TB, conn net.Conn, early []byte) *Conn {
	t.Helper()
	carried, err := Transport().Attach(conn, early)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { carried.Close() })
	return carried.(*Conn)
}

func eachNetwork(t *testing.T, f func(t *testing.T, network string)) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) { f(t, network) })
	}
}

// waitUntil waits for a condition to become true, and fails the test if it doesn't.
func waitUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// A collector makes a Handler that keeps messages and the error of OnClose.
type collector struct {
	messages chan string
	closed   chan error
}

func newCollector() *collector {
	return &collector{messages: make(chan string, 1000), closed: make(chan error, 2)}
}

func (h *collector) handler() websock.Handler {
	return websock.Messages(
		func(_ *websock.Conn, _ websock.Opcode, msg []byte) { h.messages <- string(msg) },
		func(_ *websock.Conn, err error) { h.closed <- err },
	)
}

// A gatherer is a Receiver that keeps all that it reads.
type gatherer struct {
	t    *Conn
	got  []byte
	done chan struct{}
}

func (r *gatherer) Readable() error {
	for {
		view, err := r.t.View()
		if err == transport.ErrWouldBlock {
			return nil
		}
		if err != nil {
			return err
		}
		r.got = append(r.got, view...)
		r.t.Consume(len(view))
	}
}

func (r *gatherer) End(error) {}

func (r *gatherer) Finish() { close(r.done) }

// flood sends until the peer takes no more for a moment, and returns how much it took.
func flood(t *testing.T, to interface {
	io.Writer
	SetWriteDeadline(time.Time) error
}) (total int) {
	t.Helper()
	p := make([]byte, 64<<10)
	for {
		to.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := to.Write(p)
		total += n
		if err != nil {
			return total
		}
		if total > 256<<20 {
			t.Fatal("the peer is never held back")
		}
	}
}

// idle is a Receiver that reads nothing.
type idle struct{}

func (idle) Readable() error { return nil }
func (idle) End(error)       {}
func (idle) Finish()         {}

// isEmpty reports whether there is nothing to view.
func (t *Conn) isEmpty() bool {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.in.received == nil
}

func isOpen(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err != unix.EBADF
}

// inUse returns the size of the heap after the pools were emptied.
func inUse() int {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// runCallbacksInline makes netpoll's pollers call callbacks themselves, until the test ends.
func runCallbacksInline(t *testing.T) {
	run := func(runner func(context.Context, func())) {
		if err := netpoll.Configure(netpoll.Config{Runner: runner, LoadBalance: netpoll.RoundRobin}); err != nil {
			t.Fatal(err)
		}
	}
	run(func(_ context.Context, f func()) { f() })
	t.Cleanup(func() { run(func(_ context.Context, f func()) { go f() }) })
}

// fillQueue sends until something is queued for a peer that doesn't read.
func fillQueue(t *testing.T, tr *Conn) {
	t.Helper()
	for tr.Queued() == 0 {
		if err := tr.Writev(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
}

// hangUp does what the poller does when it has found that the peer has ended the stream.
func hangUp(t *testing.T, tr *Conn) {
	t.Helper()
	waitUntil(t, "the descriptor is watched", tr.isWatched)
	r := tr.in.registration
	r.operator.Control(netpoll.PollDetach)
	r.onHup(tr.poll)
}

// isWatched reports whether the poller watches the descriptor.
func (t *Conn) isWatched() bool {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.in.registration != nil
}
