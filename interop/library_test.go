package interop

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// unhurried gives a peer that is slow the time to close.
var unhurried = websock.Limits{CloseTimeout: patience}

func config(p peer, handler websock.Handler) *websock.Config {
	cfg := &websock.Config{Handler: handler, Timeout: patience, Limits: unhurried}
	if p.subprotocol != "" {
		cfg.Subprotocols = []string{p.subprotocol}
	}
	return cfg
}

// dial connects to the echo of a peer.
func dial(t *testing.T, p peer, url string, handler websock.Handler) *websock.Conn {
	t.Helper()
	c, err := websock.Dial(t.Context(), url, config(p, handler))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetRecvDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func closeCleanly(t *testing.T, c *websock.Conn) {
	t.Helper()
	if err := c.CloseWith(4001, "bye"); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// payload returns text of a size.
func payload(size int) []byte {
	return []byte(strings.Repeat("0123456789abcdef", size/16+1)[:size])
}

// receive returns the echo of a message of n bytes, which may be several messages.
func receive(t *testing.T, c *websock.Conn, p peer, n int) (op websock.Opcode, msg []byte) {
	t.Helper()
	for {
		var err error
		if op, msg, err = c.RecvMessage(msg); err != nil {
			t.Fatalf("after %d of %d bytes: %v", len(msg), n, err)
		}
		if !p.mirror || len(msg) >= n {
			return op, msg
		}
	}
}

func TestEchoOfEverySize(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer, url string) {
		c := dial(t, p, url, nil)
		defer closeCleanly(t, c)
		for _, op := range []websock.Opcode{websock.OpText, websock.OpBinary} {
			for _, size := range []int{0, 1, 125, 126, 1000, 65535, 65536, 1 << 20} {
				want := payload(size)
				sent := make(chan error, 1)
				go func() { sent <- c.SendFrame(op, true, want) }()
				gotOp, got := receive(t, c, p, size)
				if !bytes.Equal(got, want) {
					t.Errorf("%v of %d bytes: the echo has %d other bytes", op, size, len(got))
				}
				if gotOp != op && !p.mirror {
					t.Errorf("the echo of %v of %d bytes is %v", op, size, gotOp)
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func TestEchoOfFragments(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer, url string) {
		c := dial(t, p, url, nil)
		defer closeCleanly(t, c)
		for i, part := range []string{"frag", "", "ment", "ed €"} {
			op := websock.OpContinuation
			if i == 0 {
				op = websock.OpText
			}
			if err := c.SendFrame(op, i == 3, []byte(part)); err != nil {
				t.Fatal(err)
			}
			if err := c.SendPing([]byte("between")); err != nil {
				t.Fatal(err)
			}
		}
		const want = "fragmented €"
		if _, got := receive(t, c, p, len(want)); string(got) != want {
			t.Errorf("%q, want %q", got, want)
		}
		for deadline := time.Now().Add(patience); c.Stats().PongsReceived == 0; {
			if _, _, err := c.RecvTimeout(nil, 50*time.Millisecond); !errors.Is(err, websock.ErrTimeout) {
				t.Fatal(err)
			}
			if time.Now().After(deadline) {
				t.Fatal("no pong was received")
			}
		}
	})
}

func TestSmallBuffersAndTimeouts(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer, url string) {
		c := dial(t, p, url, nil)
		defer closeCleanly(t, c)
		calls := map[string]func(buf []byte) (websock.Header, int, error){
			"Recv":        c.Recv,
			"RecvTimeout": func(buf []byte) (websock.Header, int, error) { return c.RecvTimeout(buf, time.Millisecond) },
		}
		want := payload(1000)
		for name, recv := range calls {
			for _, size := range []int{1, 2, 7, 4096} {
				if err := c.SendText(want); err != nil {
					t.Fatal(err)
				}
				buf := make([]byte, size)
				var got []byte
				for end := false; !end; {
					h, n, err := recv(buf)
					if err != nil && !errors.Is(err, websock.ErrTimeout) {
						t.Fatal(err)
					}
					got = append(got, buf[:n]...)
					end = err == nil && h.Opcode != websock.OpNone && h.Fin && h.Remaining == 0
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%s, buffer of %d: %d bytes, want %d", name, size, len(got), len(want))
				}
			}
		}
	})
}

// A wiretap is a connection that records what was received.
type wiretap struct {
	net.Conn
	received []byte
}

func (w *wiretap) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.received = append(w.received, p[:n]...)
	return n, err
}

func TestPeerEchoesCloseCode(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer, url string) {
		var tap *wiretap
		cfg := config(p, nil)
		cfg.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, network, addr)
			tap = &wiretap{Conn: conn}
			return tap, err
		}
		c, err := websock.Dial(t.Context(), url, cfg)
		if err != nil {
			t.Fatal(err)
		}
		closeCleanly(t, c)
		_, frames, _ := bytes.Cut(tap.received, []byte("\r\n\r\n"))
		h, n, err := engine.ParseHeader(frames)
		if err != nil || h.Opcode != websock.OpClose || h.Length != int64(len(frames)-n) {
			t.Fatalf("not one close frame: % x, %v", frames, err)
		}
		if code, _, err := engine.ParseClose(frames[n:]); code != 4001 || err != nil {
			t.Errorf("%v, %v", code, err)
		}
	})
}

func TestServerCloses(t *testing.T) {
	c, err := websock.Dial(t.Context(), libwebsockets(t), &websock.Config{Subprotocols: []string{"dumb-increment-protocol"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"0", "1", "2"} { // it sends numbers
		if _, msg, err := c.RecvMessage(nil); string(msg) != want || err != nil {
			t.Fatalf("%q, %v; want %q", msg, err, want)
		}
	}
	if err := c.SendText([]byte("closeme\n")); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, _, err = c.RecvMessage(nil)
	}
	var end *websock.CloseError
	if !errors.As(err, &end) || end.Local || end.Code != websock.CloseGoingAway || end.Reason != "seeya" {
		t.Error(err)
	}
	c.Close()
}

func TestHandlerReceivesEchoes(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer, url string) {
		echoes := make(chan string, 10)
		closed := make(chan error, 1)
		c := dial(t, p, url, websock.Messages(
			func(_ *websock.Conn, _ websock.Opcode, msg []byte) { echoes <- string(msg) },
			func(_ *websock.Conn, err error) { closed <- err },
		))
		for _, want := range []string{"one", "two", "three"} {
			if err := c.SendText([]byte(want)); err != nil {
				t.Fatal(err)
			}
			if got := <-echoes; got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		closeCleanly(t, c)
		var end *websock.CloseError
		if err := <-closed; !errors.As(err, &end) || !end.Local || end.Code != 4001 {
			t.Errorf("%v", err)
		}
	})
}

func TestSubprotocol(t *testing.T) {
	for _, p := range peers {
		if !p.chat {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			c, err := websock.Dial(t.Context(), p.start(t), &websock.Config{Subprotocols: []string{"soap", "chat"}, Timeout: patience, Limits: unhurried})
			if err != nil {
				t.Fatal(err)
			}
			defer closeCleanly(t, c)
			if c.Subprotocol() != "chat" {
				t.Errorf("%q", c.Subprotocol())
			}
		})
	}
}
