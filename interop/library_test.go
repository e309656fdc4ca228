package interop

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// dial connects to a peer's echo.
func dial(t *testing.T, p peer, url string, handler engine.Handler) *engine.Conn {
	t.Helper()
	cfg := &websock.Config{Handler: handler, Timeout: 10 * time.Second}
	if p.subprotocol != "" {
		cfg.Subprotocols = []string{p.subprotocol}
	}
	if p.queries != nil {
		url += p.queries[0]
	}
	c, err := websock.Dial(t.Context(), url, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetRecvDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func closeCleanly(t *testing.T, c *engine.Conn) {
	t.Helper()
	if err := c.CloseWith(4001, "bye"); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// payload is text of a size that can be checked.
func payload(size int) []byte {
	return []byte(strings.Repeat("0123456789abcdef", size/16+1)[:size])
}

func TestMessagesOfEverySizeComeBack(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer, url string) {
		c := dial(t, p, url, nil)
		defer closeCleanly(t, c)
		for _, op := range []engine.Opcode{engine.OpText, engine.OpBinary} {
			for _, size := range []int{0, 1, 125, 126, 1000, 65535, 65536, 1 << 20} {
				if p.largest > 0 && (size > p.largest || size == 0) {
					continue
				}
				want := payload(size)
				sent := make(chan error, 1)
				go func() { sent <- c.SendFrame(op, true, want) }()
				gotOp, got, err := c.RecvMessage(nil)
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%v of %d bytes: %d came back, %v", op, size, len(got), err)
				}
				if gotOp != op && p.name != "libwebsockets" { // which mirrors everything as text
					t.Errorf("%v of %d bytes came back as %v", op, size, gotOp)
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func TestFragmentedMessagesComeBack(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer, url string) {
		c := dial(t, p, url, nil)
		defer closeCleanly(t, c)
		for i, part := range []string{"frag", "", "ment", "ed €"} {
			op := engine.OpContinuation
			if i == 0 {
				op = engine.OpText
			}
			if err := c.SendFrame(op, i == 3, []byte(part)); err != nil {
				t.Fatal(err)
			}
			if err := c.SendPing([]byte("between")); err != nil {
				t.Fatal(err)
			}
		}
		want := "fragmented €"
		var got []byte
		for len(got) < len(want) { // a mirror sends the fragments as messages
			_, msg, err := c.RecvMessage(nil)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, msg...)
		}
		if string(got) != want {
			t.Errorf("%q, want %q", got, want)
		}
		for deadline := time.Now().Add(5 * time.Second); c.Stats().PongsReceived == 0; {
			if _, _, err := c.RecvTimeout(nil, 50*time.Millisecond); !errors.Is(err, engine.ErrTimeout) {
				t.Fatal(err)
			}
			if time.Now().After(deadline) {
				t.Fatal("no pong came")
			}
		}
	})
}

func TestSmallBuffersAndTimeoutsLoseNothing(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer, url string) {
		c := dial(t, p, url, nil)
		defer closeCleanly(t, c)
		want := payload(1000)
		for _, size := range []int{1, 2, 7, 4096} {
			if err := c.SendText(want); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, size)
			var got []byte
			for end := false; !end; {
				h, n, err := c.RecvTimeout(buf, time.Millisecond)
				if err != nil && !errors.Is(err, engine.ErrTimeout) {
					t.Fatal(err)
				}
				got = append(got, buf[:n]...)
				end = err == nil && h.Opcode != engine.OpNone && h.Fin && h.Remaining == 0
			}
			if !bytes.Equal(got, want) {
				t.Errorf("buffer of %d: %d bytes, want %d", size, len(got), len(want))
			}
		}
	})
}

func TestAHandlerGetsEchoes(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer, url string) {
		echoes := make(chan string, 10)
		closed := make(chan error, 1)
		c := dial(t, p, url, engine.Messages(
			func(_ *engine.Conn, _ engine.Opcode, msg []byte) { echoes <- string(msg) },
			func(_ *engine.Conn, err error) { closed <- err },
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
		var end *engine.CloseError
		if err := <-closed; !errors.As(err, &end) || !end.Local || end.Code != 4001 {
			t.Errorf("%v", err)
		}
	})
}

func TestSubprotocolIsAgreed(t *testing.T) {
	for _, p := range peers {
		if !p.chat {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			c, err := websock.Dial(t.Context(), p.start(t), &websock.Config{Subprotocols: []string{"soap", "chat"}})
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
