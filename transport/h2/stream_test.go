package h2_test

import (
	"bytes"
	"io"
	"math"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/transport/h2"
	"github.com/seed004e8d11/websock/transport/std"
	"golang.org/x/net/http2"
)

func TestStreamsEcho(t *testing.T) {
	eachCarrier(t, func(t *testing.T, c carrier) {
		client, _, accepted := c.sessions(t, h2.Config{}, h2.Config{})
		for _, size := range []int{1, 100, 16 << 10, 100 << 10, 1 << 20, 5 << 20} {
			a, b := open(t, client, accepted)
			e := newEcho(b)
			if err := b.Push(e); err != nil {
				t.Fatal(err)
			}
			sent := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
			if err := a.Writev(sent); err != nil {
				t.Fatal(err)
			}
			if got := readFull(t, a, size); !bytes.Equal(got, sent) {
				t.Errorf("%d bytes: others came back", size)
			}
			a.CloseWrite()
			if n, err := a.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("%d, %v after the end, want EOF", n, err)
			}
			select {
			case err := <-e.done:
				if err != io.EOF {
					t.Errorf("the receiver got %v", err)
				}
			case <-time.After(patience):
				t.Fatal("the receiver got no end")
			}
			a.Close()
		}
		waitFor(t, func() bool { return client.Streams() == 0 })
	})
}

func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	for start := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatal("it did not happen")
		}
	}
}

// What the peer doesn't take until the write deadline is not delivered, and Linger says so.
func TestLingerReportsAWriteDeadlineThatPasses(t *testing.T) {
	client, _, accepted := carrier{factory: std.Transport()}.sessions(t, h2.Config{}, h2.Config{})
	a, _ := open(t, client, accepted)
	if err := a.Writev(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return a.Queued() > 0 })
	a.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	if err := a.Linger(patience); err != os.ErrDeadlineExceeded {
		t.Errorf("Linger returned %v", err)
	}
}

// Trace is called with the frames in the order in which they are sent, whichever goroutines send them.
func TestTraceTellsFramesInOrder(t *testing.T) {
	var traced []uint32
	calls := make(chan struct{}, 1) // of one goroutine at a time
	w := newWire()
	p := newPeer(t, w, client, h2.Config{Trace: func(f h2.Frame) {
		select {
		case calls <- struct{}{}:
		default:
			t.Error("two goroutines call Trace")
		}
		if f.Sent && f.Header.Type == http2.FrameData {
			traced = append(traced, f.Header.StreamID)
		}
		<-calls
	}})
	const streams, messages = 8, 200
	var senders sync.WaitGroup
	for range streams {
		st := p.open()
		senders.Go(func() {
			for range messages {
				st.Writev([]byte("x"))
			}
		})
	}
	senders.Wait()
	var sent []uint32
	for p.in.Write(w.take()); p.in.Len() > 0; {
		if f := p.next(); f.Header().Type == http2.FrameData {
			sent = append(sent, f.Header().StreamID)
		}
	}
	if len(sent) != streams*messages || !slices.Equal(traced, sent) {
		t.Errorf("%d frames were sent, and told in another order", len(sent))
	}
}

// A stream refuses what it could not count, and sends nothing more.
func TestWritevRefusesWhatItCannotCount(t *testing.T) {
	p := newPeer(t, newWire(), client, h2.Config{})
	st := p.open()
	st.PretendQueued(math.MaxInt32 - 1)
	if err := st.Writev([]byte("xx")); err == nil {
		t.Error("it was taken")
	}
	st.PretendQueued(0)
	if err := st.Writev([]byte("x")); err == nil {
		t.Error("a part of what was refused could be missing")
	}
}
