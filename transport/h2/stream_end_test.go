package h2_test

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/seed004e8d11/websock/transport/h2"
	"github.com/seed004e8d11/websock/transport/std"
)

// A dataLog notes the DATA frames that a Session receives.
type dataLog struct {
	mu     sync.Mutex
	frames []string
}

func (l *dataLog) note(f h2.Frame) {
	if f.Sent || f.Header.Type != http2.FrameData {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frames = append(l.frames, fmt.Sprintf("%d: %d %v", f.Header.StreamID, f.Header.Length, f.Header.Flags.Has(http2.FlagDataEndStream)))
}

func (l *dataLog) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.frames
	l.frames = nil
	return taken
}

func TestEndStreamComesWithTheLastData(t *testing.T) {
	var log dataLog
	client, server, accepted := carrier{factory: std.Transport()}.sessions(t, h2.Config{Trace: log.note}, h2.Config{})
	for _, c := range []struct {
		name string
		send func(st, other *h2.Stream)
		want []string // length, and whether END_STREAM is set
	}{
		{"together", func(st, other *h2.Stream) { st.Writev([]byte("abc")); st.CloseWrite() }, []string{"3 true"}},
		{"two pieces", func(st, other *h2.Stream) { st.Writev([]byte("abc")); st.Writev([]byte("d")); st.CloseWrite() }, []string{"3 false", "1 true"}},
		{"another stream between", func(st, other *h2.Stream) {
			st.Writev([]byte("abc"))
			other.Writev([]byte("x"))
			st.CloseWrite()
		}, []string{"3 false", "0 true"}},
		{"nothing before", func(st, other *h2.Stream) { st.CloseWrite() }, []string{"0 true"}},
	} {
		a, b := open(t, client, accepted)
		_, other := open(t, client, accepted)
		server.Cork()
		c.send(b, other)
		server.Flush()
		if _, err := io.ReadAll(a); err != nil {
			t.Error(c.name, err)
		}
		var got []string
		for _, frame := range log.take() {
			var id uint32
			var length int
			var end bool
			fmt.Sscanf(frame, "%d: %d %t", &id, &length, &end)
			if id == a.ID() {
				got = append(got, fmt.Sprintf("%d %t", length, end))
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestOnEndCanBeTakenBack(t *testing.T) {
	client, server, accepted := carrier{factory: std.Transport()}.sessions(t, h2.Config{}, h2.Config{})
	a, b := open(t, client, accepted)
	b.OnEnd(func(error) { t.Error("the first function was called") })
	b.OnEnd(nil)
	a.Reset(http2.ErrCodeCancel)
	waitFor(t, func() bool { return server.Streams() == 0 })
	b.OnEnd(nil) // after the end
	ended := make(chan error, 1)
	b.OnEnd(func(err error) { ended <- err })
	if err := <-ended; err == nil {
		t.Error("no error")
	}
}

func TestDoneComesAfterTheEnd(t *testing.T) {
	eachCarrier(t, func(t *testing.T, c carrier) {
		client, server, _ := c.sessions(t, h2.Config{}, h2.Config{})
		select {
		case <-client.Done():
			t.Error("done before the end")
		default:
		}
		server.Shutdown()
		for _, s := range []*h2.Session{client, server} {
			select {
			case <-s.Done():
			case <-time.After(patience):
				t.Fatal("the session is not done")
			}
			if s.Err() == nil {
				t.Error("the session has not ended")
			}
		}
	})
}
