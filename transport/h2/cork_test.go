package h2_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/transport/h2"
	"github.com/seed004e8d11/websock/transport/std"
)

// corked returns a peer of a Session with n streams whose calling goroutine has called Cork.
func corked(t *testing.T, n int, waits bool, c h2.Config) (*peer, []*h2.Stream) {
	t.Helper()
	w := newWire()
	w.waits = waits
	p := newPeer(t, w, client, c)
	var streams []*h2.Stream
	for range n {
		streams = append(streams, p.open())
	}
	p.frames()
	w.writes = 0
	p.session.Cork()
	return p, streams
}

// writes fails the test if the Session has not written n times since the last call.
func (p *peer) writes(n int) {
	p.t.Helper()
	if p.wire.writes != n {
		p.t.Errorf("%d writes, want %d", p.wire.writes, n)
	}
	p.wire.writes = 0
}

// eachQueueing runs f over a carrier that queues, and over one that doesn't.
func eachQueueing(t *testing.T, f func(t *testing.T, waits bool)) {
	for _, waits := range []bool{false, true} {
		t.Run(fmt.Sprint("waits=", waits), func(t *testing.T) { f(t, waits) })
	}
}

func TestFlushWritesOnceForAllStreams(t *testing.T) {
	eachQueueing(t, func(t *testing.T, waits bool) {
		const n = 100
		p, streams := corked(t, n, waits, h2.Config{})
		var want []string
		for _, st := range slices.Backward(streams) { // in the order of the calls
			st.Writev([]byte("tick"))
			want = append(want, fmt.Sprintf("DATA %d %q", st.ID(), "tick"))
		}
		p.gets()
		p.session.Flush()
		p.gets(want...)
		p.writes(1)
	})
}

func TestFlushWritesWhenNoCorkOfItsGoroutineIsLeft(t *testing.T) {
	p, streams := corked(t, 2, false, h2.Config{})
	p.session.Cork()
	streams[0].Writev([]byte("a"))
	p.session.Flush()
	streams[1].Writev([]byte("b"))
	p.gets()
	p.session.Flush()
	p.gets(`DATA 1 "a"`, `DATA 3 "b"`)
	p.writes(1)
	p.session.Flush() // once too often
	streams[0].Writev([]byte("c"))
	p.gets(`DATA 1 "c"`)
}

// A goroutine that has not called Cork doesn't wait for one that has. Its frame follows those before it.
func TestACorkHoldsUpNoOtherGoroutine(t *testing.T) {
	eachQueueing(t, func(t *testing.T, waits bool) {
		p, streams := corked(t, 3, waits, h2.Config{})
		elsewhere := func(f func()) {
			var done sync.WaitGroup
			done.Go(f)
			done.Wait()
		}
		streams[0].Writev([]byte("a"))
		elsewhere(func() { streams[1].Writev([]byte("b")) })
		p.gets(`DATA 1 "a"`, `DATA 3 "b"`)
		p.writes(1)
		streams[0].Writev([]byte("c"))
		elsewhere(func() {
			p.session.Cork()
			streams[1].Writev([]byte("d"))
			p.gets()
			p.session.Flush() // of another goroutine than the first one's
		})
		p.gets(`DATA 1 "c"`, `DATA 3 "d"`)
		p.writes(1)
		streams[2].Writev([]byte("e"))
		elsewhere(func() { p.send(ping("01234567")) }) // the turn writes all
		p.gets(`DATA 5 "e"`, `PING ACK "01234567"`)
		p.session.Flush()
		p.gets()
	})
}

func TestACorkHoldsBackAtMost64KiB(t *testing.T) {
	p, streams := corked(t, 100, false, h2.Config{})
	p.send(windowUpdate(0, 1<<20))
	for _, st := range streams {
		st.Writev(make([]byte, 1<<10))
		if n := len(p.wire.sent); n > 0 {
			break
		}
	}
	if n := len(p.wire.sent); n < 63<<10 || n > 66<<10 {
		t.Errorf("%d bytes were held back", n)
	}
	p.frames()
	p.session.Flush()
}

// What the windows don't allow is sent in turn when they do, and nothing of it under the Cork is lost.
func TestACorkRespectsWindows(t *testing.T) {
	p, streams := corked(t, 3, false, h2.Config{})
	p.send(settings(4, 4))
	p.gets("SETTINGS ACK")
	p.wire.writes = 0
	for _, st := range streams {
		st.Writev([]byte("123456"))
	}
	p.session.Flush()
	p.gets(`DATA 1 "1234"`, `DATA 3 "1234"`, `DATA 5 "1234"`)
	p.writes(1)
	for _, st := range streams {
		if st.Queued() != 2 {
			t.Errorf("%d bytes are queued", st.Queued())
		}
	}
	p.session.Cork()
	p.send(windowUpdate(5, 9), windowUpdate(1, 9))
	p.gets(`DATA 5 "56"`, `DATA 1 "56"`)
	streams[1].Writev([]byte("78"))
	streams[0].Writev([]byte("78"))
	p.session.Flush()
	p.gets(`DATA 1 "78"`)
	p.send(windowUpdate(3, 9))
	p.gets(`DATA 3 "5678"`)
}

// The end of a stream comes after what it has sent, and that of the Session takes the Cork with it.
func TestStreamsEndUnderACork(t *testing.T) {
	p, streams := corked(t, 3, false, h2.Config{})
	for _, st := range streams {
		st.Writev([]byte("last"))
	}
	streams[0].CloseWrite()
	streams[1].Close()
	p.gets()
	p.session.Flush()
	p.gets(`DATA 1 "last"`, `DATA 3 "last"`, `DATA 5 "last"`, `DATA 1 "" END_STREAM`, "RST_STREAM 3 CANCEL")
	p.session.Cork()
	streams[2].Writev([]byte("lost"))
	p.wire.failure = syscall.ECONNRESET
	streams[2].Writev(bytes.Repeat([]byte("x"), 60<<10)) // more than is held back
	streams[2].Writev(bytes.Repeat([]byte("x"), 60<<10))
	if err := streams[2].Writev([]byte("lost")); !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
	p.session.Flush()
	p.wire.turn()
	if err := p.session.Err(); !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
	p.session.Cork()
	p.session.Flush()
}

// Config.Trace may do anything, so it isn't called while something is held back.
func TestTraceIsCalledAfterACork(t *testing.T) {
	var traced []string
	p, streams := corked(t, 2, false, h2.Config{Trace: func(f h2.Frame) {
		if f.Sent {
			traced = append(traced, f.Header.Type.String())
		}
	}})
	traced = nil
	for _, st := range streams {
		st.Writev([]byte("tick"))
	}
	if len(traced) > 0 {
		t.Errorf("%q were traced under a Cork", traced)
	}
	p.session.Flush()
	if !slices.Equal(traced, []string{"DATA", "DATA"}) {
		t.Errorf("%q", traced)
	}
	p.gets(`DATA 1 "tick"`, `DATA 3 "tick"`)
}

// The peer may wait for what is held back, so whoever waits for the peer doesn't hold it back.
func TestAGoroutineThatWaitsHoldsNothingBack(t *testing.T) {
	for name, wait := range map[string]func(ctx context.Context, st *h2.Stream) error{
		"View": func(_ context.Context, st *h2.Stream) error {
			_, err := st.View()
			return err
		},
		"Drain": func(ctx context.Context, st *h2.Stream) error { return st.Drain(ctx, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			const size, window = 30 << 10, 16 << 10
			client, _, accepted := carrier{factory: std.Transport()}.sessions(t, h2.Config{}, h2.Config{Window: window})
			a, b := open(t, client, accepted)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			a.SetReadDeadline(time.Now().Add(patience))
			client.Cork()
			defer client.Flush()
			a.Writev(make([]byte, size))
			answered := make(chan error, 1)
			go func() {
				b.SetReadDeadline(time.Now().Add(patience))
				_, err := io.ReadFull(b, make([]byte, size))
				b.Writev([]byte("answer"))
				answered <- err
			}()
			if err := wait(ctx, a); err != nil {
				t.Error(err)
			}
			if err := <-answered; err != nil {
				t.Error(err)
			}
		})
	}
}

// closings are the calls of a Stream that wait until the peer has ended the stream, or answered.
var closings = map[string]func(st *h2.Stream) error{
	"Linger": func(st *h2.Stream) error {
		st.CloseWrite()
		return st.Linger(patience)
	},
	"LingerForAnswer": func(st *h2.Stream) error {
		return st.LingerForAnswer(patience, func(p []byte) bool { return string(p) == "answer" })
	},
}

func TestAGoroutineThatClosesHoldsNothingBack(t *testing.T) {
	for name, wait := range closings {
		t.Run(name, func(t *testing.T) {
			client, _, accepted := carrier{factory: std.Transport()}.sessions(t, h2.Config{}, h2.Config{})
			a, b := open(t, client, accepted)
			go func() {
				b.SetReadDeadline(time.Now().Add(2 * patience))
				if _, err := io.ReadFull(b, make([]byte, len("last"))); err == nil {
					b.Writev([]byte("answer"))
					b.CloseWrite()
				}
			}()
			client.Cork()
			defer client.Flush()
			a.Writev([]byte("last"))
			if err := wait(a); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAGoroutineThatWaitsForAResponseHoldsNothingBack(t *testing.T) {
	client, _, accepted := carrier{factory: std.Transport()}.sessions(t, h2.Config{}, h2.Config{})
	open(t, client, accepted) // what begins a connection is exchanged
	client.Cork()
	defer client.Flush()
	open(t, client, accepted)
}

// The end of a Session may be waited for, so it is not held back.
func TestACorkDoesNotHoldBackAShutdown(t *testing.T) {
	p, streams := corked(t, 1, false, h2.Config{})
	streams[0].Writev([]byte("last"))
	p.session.Shutdown()
	p.gets(`DATA 1 "last"`, "GOAWAY 0 NO_ERROR")
	p.session.Flush()
}
