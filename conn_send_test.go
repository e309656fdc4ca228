package websock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/race"
)

func TestSendsMakeFramesOfEverySize(t *testing.T) {
	for _, role := range []Role{Client, Server} {
		for _, size := range []int{0, 1, 125, 126, 127, 65535, 65536, pieceSize, pieceSize + 1, 1 << 20} {
			c, s := newScripted(role, Limits{})
			payload := []byte(strings.Repeat("x", size))
			if err := c.SendBinary(payload); err != nil {
				t.Fatal(err)
			}
			if got, want := unframe(role, s.out), strings.TrimSuffix("bin "+string(payload), " "); got != want {
				t.Errorf("%v, %d bytes: sent %.100q", role, size, got)
			}
			if strings.Trim(string(payload), "x") != "" {
				t.Errorf("%v, %d bytes: the caller's payload was changed", role, size)
			}
			if size <= pieceSize && s.writes != 1 {
				t.Errorf("%v, %d bytes: %d writes, want 1", role, size, s.writes)
			}
		}
	}
}

func TestSendRefuses(t *testing.T) {
	long := make([]byte, engine.MaxControlPayload+1)
	tests := []struct {
		name string
		send func(c *Conn) error
		want error
	}{
		{"text that is not UTF-8", func(c *Conn) error { return c.SendText([]byte("a\xff")) }, ErrInvalidUTF8},
		{"fragment that can't become UTF-8", func(c *Conn) error { return c.SendFrame(OpText, false, []byte("\xed\xa0")) }, ErrInvalidUTF8},
		{"long ping", func(c *Conn) error { return c.SendPing(long) }, ErrControlTooLong},
		{"long pong", func(c *Conn) error { return c.SendPong(long) }, ErrControlTooLong},
		{"fragmented ping", func(c *Conn) error { return c.SendFrame(OpPing, false, nil) }, ErrFrameOrder},
		{"continuation of nothing", func(c *Conn) error { return c.SendFrame(OpContinuation, true, nil) }, ErrFrameOrder},
		{"close as a frame", func(c *Conn) error { return c.SendFrame(OpClose, true, nil) }, ErrFrameOrder},
		{"reserved opcode", func(c *Conn) error { return c.SendFrame(3, true, nil) }, ErrFrameOrder},
		{"no opcode", func(c *Conn) error { return c.SendFrame(OpNone, true, nil) }, ErrFrameOrder},
		{"writer of pings", func(c *Conn) error { _, err := c.NextWriter(OpPing); return err }, ErrFrameOrder},
		{"close code 1005 with a reason", func(c *Conn) error { return c.CloseWith(CloseNoStatus, "x") }, ErrCloseCode},
		{"close code 1006", func(c *Conn) error { return c.CloseWith(CloseAbnormal, "") }, ErrCloseCode},
		{"close code 5000", func(c *Conn) error { return c.CloseWith(5000, "") }, ErrCloseCode},
		{"close reason not UTF-8", func(c *Conn) error { return c.CloseWith(CloseNormal, "\xff") }, ErrInvalidUTF8},
		{"long close reason", func(c *Conn) error { return c.CloseWith(CloseNormal, string(long)) }, ErrControlTooLong},
		{"negative reservation", func(c *Conn) error { _, err := c.Reserve(-1); return err }, ErrSendBuffer},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, s := newScripted(Client, Limits{})
			if err := test.send(c); !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			if len(s.out) > 0 {
				t.Errorf("%x was sent", s.out)
			}
			if err := c.SendText([]byte("still open")); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestFragmentedMessages(t *testing.T) {
	c, s := newScripted(Client, Limits{})
	steps := []struct {
		op   Opcode
		fin  bool
		p    string
		want error
	}{
		{OpText, false, "\xe2\x82", nil}, // a code point may be cut
		{OpPing, true, "p", nil},
		{OpBinary, true, "no", ErrFrameOrder},
		{OpText, false, "no", ErrFrameOrder},
		{OpContinuation, false, "\xff", ErrInvalidUTF8},
		{OpContinuation, true, "", ErrInvalidUTF8}, // would end inside the code point
		{OpContinuation, false, "\xac", nil},
		{OpContinuation, true, "end", nil},
		{OpContinuation, true, "no", ErrFrameOrder},
		{OpBinary, true, "next", nil},
	}
	for i, step := range steps {
		if err := c.SendFrame(step.op, step.fin, []byte(step.p)); err != step.want {
			t.Errorf("step %d: %v, want %v", i, err, step.want)
		}
	}
	want := "text+ \xe2\x82; ping p; cont+ \xac; cont end; bin next"
	if got := unframe(Client, s.out); got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
}

func TestCorkedFramesAreWrittenTogether(t *testing.T) {
	c, s := newScripted(Client, Limits{})
	c.Cork()
	for range 3 {
		if err := c.SendText([]byte("a")); err != nil {
			t.Fatal(err)
		}
	}
	if s.writes != 0 {
		t.Fatalf("%d writes before Flush", s.writes)
	}
	if err := c.Flush(); err != nil || s.writes != 1 {
		t.Errorf("Flush: %v, %d writes", err, s.writes)
	}
	if got := unframe(Client, s.out); got != "text a; text a; text a" {
		t.Errorf("sent %q", got)
	}
	if c.SendText(nil); s.writes != 2 {
		t.Error("Flush didn't end it")
	}
	if err := c.Flush(); err != nil || s.writes != 2 {
		t.Errorf("Flush of nothing: %v, %d writes", err, s.writes)
	}
}

func TestCorkedFramesAreWrittenAtTheLimit(t *testing.T) {
	c, s := newScripted(Server, Limits{SendQueue: 100})
	c.Cork()
	for range 10 {
		c.SendBinary(make([]byte, 38))
	}
	if s.writes != 3 {
		t.Errorf("%d writes of frames of 40 bytes at a limit of 100, want 3", s.writes)
	}
}

func TestCloseWritesCorkedFrames(t *testing.T) {
	c, s := newScripted(Server, Limits{})
	c.Cork()
	c.SendText([]byte("last"))
	c.Close()
	if got, want := unframe(Server, s.out), "text last; close "+closePayload(CloseNormal, ""); got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
}

func TestFramesSentDuringAWriteAreWrittenTogether(t *testing.T) {
	s := &gatedTransport{begun: make(chan struct{}, 100), free: make(chan struct{}, 100)}
	c := NewConn(s, Server, Options{})
	var senders sync.WaitGroup
	send := func() {
		senders.Go(func() {
			if err := c.SendText([]byte("x")); err != nil {
				t.Error(err)
			}
		})
	}
	send()
	<-s.begun
	for range 9 {
		send()
	}
	waitUntilGathered(c, 9*3)
	s.free <- struct{}{}
	s.free <- struct{}{}
	senders.Wait()
	if s.writes != 2 {
		t.Errorf("%d writes, want 2", s.writes)
	}
	if got := strings.Count(unframe(Server, s.out), "text x"); got != 10 {
		t.Errorf("%d frames, want 10", got)
	}
}

func TestSendersWaitWhileTheBatchIsFull(t *testing.T) {
	s := &gatedTransport{begun: make(chan struct{}, 100), free: make(chan struct{}, 100)}
	c := NewConn(s, Server, Options{Limits: Limits{SendQueue: 50}})
	var senders sync.WaitGroup
	for range 10 {
		senders.Go(func() { c.SendBinary(make([]byte, 38)) })
	}
	<-s.begun
	time.Sleep(5 * time.Millisecond)
	c.batch.mu.Lock()
	if c.batch.pending != nil && len(c.batch.pending.B) > 50 {
		t.Errorf("%d bytes gathered, limit 50", len(c.batch.pending.B))
	}
	c.batch.mu.Unlock()
	close(s.free)
	senders.Wait()
	if got := strings.Count(unframe(Server, s.out), "bin"); got != 10 {
		t.Errorf("%d frames, want 10", got)
	}
}

func TestAFailedWriteEndsSending(t *testing.T) {
	for _, cause := range []error{io.ErrClosedPipe, os.ErrDeadlineExceeded} {
		c, s := newScripted(Client, Limits{})
		s.writeErr = &net.OpError{Op: "write", Err: cause}
		for _, size := range []int{1, pieceSize + 1} {
			err := c.SendBinary(make([]byte, size))
			var closed *CloseError
			if !errors.Is(err, cause) || !errors.As(err, &closed) || closed.Code != CloseAbnormal {
				t.Errorf("%v, want a CloseError because of %v", err, cause)
			}
		}
		if _, err := c.Reserve(1); !errors.Is(err, cause) {
			t.Errorf("Reserve: %v", err)
		}
		if _, err := c.NextWriter(OpText); !errors.Is(err, cause) {
			t.Errorf("NextWriter: %v", err)
		}
		if err := c.Flush(); !errors.Is(err, cause) {
			t.Errorf("Flush: %v", err)
		}
		if c.Close(); !s.closed {
			t.Error("Close doesn't close the transport")
		}
	}
}

func TestConcurrentSendsKeepFramesWhole(t *testing.T) {
	c, s := newScripted(Client, Limits{})
	var senders sync.WaitGroup
	sizes := []int{1, 200, 70000, pieceSize + 5000}
	for g := range 16 {
		senders.Go(func() {
			for i := range 20 {
				payload := bytes.Repeat([]byte{byte('a' + g)}, sizes[(g+i)%len(sizes)])
				if err := c.SendBinary(payload); err != nil {
					t.Error(err)
				}
			}
		})
	}
	senders.Wait()
	frames := strings.Split(unframe(Client, s.out), "; ")
	if len(frames) != 16*20 {
		t.Fatalf("%d frames, want %d", len(frames), 16*20)
	}
	for _, f := range frames {
		payload := strings.TrimPrefix(f, "bin ")
		if payload == f || strings.Trim(payload, payload[:1]) != "" {
			t.Fatalf("torn frame %.50q", f)
		}
	}
}

func TestSendAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("sync.Pool drops objects at random under the race detector")
	}
	for _, role := range []Role{Client, Server} {
		for _, size := range []int{16, 125, 4096, 65536, 1 << 20} {
			payload := []byte(strings.Repeat("x", size))
			message := prepared(t, OpText, string(payload))
			c := NewConn(&endlessTransport{}, role, Options{})
			sends := map[string]func() error{
				"SendText":   func() error { return c.SendText(payload) },
				"SendBinary": func() error { return c.SendBinary(payload) },
				"TrySend":    func() error { return c.TrySend(OpBinary, payload) },
				"SendContext": func() error {
					return c.SendContext(context.Background(), OpText, payload)
				},
				"SendPrepared":    func() error { return c.SendPrepared(message) },
				"TrySendPrepared": func() error { return c.TrySendPrepared(message) },
				"NextWriter": func() error {
					w, err := c.NextWriter(OpBinary)
					if err != nil {
						return err
					}
					if _, err := w.Write(payload); err != nil {
						return err
					}
					return w.Close()
				},
			}
			if size <= 65536 { // larger ones aren't pooled
				sends["Reserve"] = func() error {
					sb, err := c.Reserve(size)
					if err != nil {
						return err
					}
					return sb.SendBinary(size)
				}
			}
			for name, send := range sends {
				t.Run(fmt.Sprintf("%v/%s/%d", role, name, size), func(t *testing.T) {
					allocs := testing.AllocsPerRun(100, func() {
						if err := send(); err != nil {
							t.Fatal(err)
						}
					})
					want := 0.0
					if name == "NextWriter" {
						want = 1 // every message has a writer of its own
					}
					if allocs != want {
						t.Errorf("%v allocations, want %v", allocs, want)
					}
				})
			}
		}
	}
}

func BenchmarkSend(b *testing.B) {
	for _, role := range []Role{Client, Server} {
		for _, size := range []int{16, 125, 512, 4096, 65536} {
			b.Run(fmt.Sprintf("%v/%d", role, size), func(b *testing.B) {
				c := NewConn(&endlessTransport{}, role, Options{})
				payload := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if err := c.SendBinary(payload); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func TestFramesThatCannotBeWrittenReleaseTheirMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in which no second passes between the pings
		c, s := newScripted(Client, Limits{PongRate: 1}, frames(Client, "ping a; ping b; text x"))
		c.Cork()
		if err := c.SendText([]byte("held back")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.RecvMessage(nil); err != nil {
			t.Fatal(err)
		}
		if c.batch.pending == nil || c.batch.rare.ping == nil {
			t.Fatal("nothing waits")
		}
		s.err = io.EOF
		c.Recv(nil)
		if c.batch.pending != nil || c.batch.rare.ping != nil {
			t.Error("what waited is still there")
		}
	})
}

func TestSendDeadlinesAreSetOnTheTransport(t *testing.T) {
	c, s := newScripted(Client, Limits{})
	soon := time.Now().Add(time.Hour)
	if err := c.SetSendDeadline(soon); err != nil || !s.writeDeadline.Equal(soon) {
		t.Errorf("%v, %v", s.writeDeadline, err)
	}
}
