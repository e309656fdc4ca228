package transporttest

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// Firehoses are streams of some 16 KB that make much work: each of a kind.
func Firehoses() map[string][]byte {
	var payload bytes.Buffer
	w, _ := flate.NewWriter(&payload, flate.BestCompression)
	w.Write(make([]byte, 1<<20))
	w.Flush()
	p := bytes.TrimSuffix(payload.Bytes(), []byte("\x00\x00\xff\xff"))
	bomb := append(engine.AppendHeader(nil, websock.Header{Fin: true, Rsv: 4, Opcode: websock.OpBinary, Length: int64(len(p))}), p...)
	return map[string][]byte{
		"inflating": bytes.Repeat(bomb, 16),
		"tiny":      bytes.Repeat([]byte("\x82\x00"), 8<<10),
	}
}

// FirehoseTurn is how much of a firehose's payload, and how many calls of its Handler, may come
// before others have their turn.
const (
	FirehoseTurn  = 256 << 10
	FirehoseCalls = 1 << 10
)

// A Firehose is a Handler that counts what it gets.
type Firehose struct {
	Calls, Bytes int
	OnFirst      func(c *websock.Conn) // called with the first
	Pauses       bool                  // now and then, for a moment
	Closed       chan error
}

// OnData counts.
func (f *Firehose) OnData(c *websock.Conn, _ websock.Header, payload []byte) {
	f.Calls++
	f.Bytes += len(payload)
	if f.Pauses && f.Calls%97 == 0 {
		c.Pause()
		go c.Resume()
	}
	if f.Calls == 1 && f.OnFirst != nil {
		f.OnFirst(c)
	}
}

// OnClose tells Closed.
func (f *Firehose) OnClose(_ *websock.Conn, err error) { f.Closed <- err }

// A Handler has much to do with what has come at once. A deadline is still noticed.
func (s Suite) testADeadlineEndsAFirehose(t *testing.T) {
	for kind, stream := range Firehoses() {
		t.Run(kind, func(t *testing.T) {
			client, _ := s.sockets(t, "tcp")
			f := &Firehose{Closed: make(chan error, 1)}
			f.OnFirst = func(c *websock.Conn) { c.SetRecvDeadline(time.Now().Add(-time.Second)) }
			c := s.firehose(t, client, stream, f)
			if err := within(t, f.Closed, "OnClose"); !errors.Is(err, websock.ErrTimeout) {
				t.Errorf("%v", err)
			}
			if f.Bytes > FirehoseTurn || f.Calls > FirehoseCalls {
				t.Errorf("the Handler got %d bytes in %d calls after the deadline", f.Bytes, f.Calls)
			}
			c.Abort(nil)
		})
	}
}

// Nothing is lost where the turns of a Handler end.
func (s Suite) testAFirehoseIsReceivedWhole(t *testing.T) {
	for kind, stream := range Firehoses() {
		for _, pauses := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/pauses=%v", kind, pauses), func(t *testing.T) {
				client, server := s.sockets(t, "tcp")
				f := &Firehose{Closed: make(chan error, 1), Pauses: pauses}
				s.firehose(t, client, stream, f)
				go func() { // what comes later is received after what is here
					server.Write(stream)
					server.Write([]byte("\x88\x02\x03\xe8"))
				}()
				var closed *websock.CloseError
				if err := within(t, f.Closed, "OnClose"); !errors.As(err, &closed) || closed.Code != websock.CloseNormal {
					t.Errorf("%v", err)
				}
				if kind == "tiny" && f.Calls != len(stream) || kind == "inflating" && f.Bytes != 32<<20 {
					t.Errorf("the Handler got %d bytes in %d calls", f.Bytes, f.Calls)
				}
			})
		}
	}
}

// firehose returns a connection on which a stream has come already.
func (s Suite) firehose(t *testing.T, conn net.Conn, stream []byte, f *Firehose) *websock.Conn {
	t.Helper()
	c := websock.NewConn(s.attach(t, conn, bytes.Clone(stream)), websock.Client, websock.Options{
		Limits:      websock.Limits{CloseTimeout: 20 * time.Millisecond},
		Compression: websock.Compression{Level: 1},
	})
	if err := c.SetHandler(f); err != nil {
		t.Fatal(err)
	}
	return c
}
