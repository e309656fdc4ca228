package h3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/h3"
)

// A server that is gone gets no more WebSockets. QUIC itself would notice it after 30 seconds.
func TestASilentSessionEnds(t *testing.T) {
	for name, keepAlive := range map[string]websock.KeepAlive{
		"pings":      {Ping: 50 * time.Millisecond, Timeout: 200 * time.Millisecond},
		"heartbeats": {Ping: 50 * time.Millisecond, Timeout: 200 * time.Millisecond, Message: []byte("beat")},
		"no pings":   {Timeout: 200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			s, restarted := newServer(t, echo), newServer(t, echo)
			p := newProxy(t, s.addr)
			s.addr = p.addr()
			before := s.mustDial(t, websock.Config{})
			p.moveServer(restarted.addr)
			switch c, err := s.dial(t, websock.Config{KeepAlive: keepAlive}); {
			case err == nil: // the silent connection has ended before the request was sent
				c.Abort(nil)
			case !errors.Is(err, websock.ErrIdle):
				t.Errorf("on the silent connection: %v", err)
			}
			before.SetRecvDeadline(time.Now().Add(patience))
			_, _, err := before.RecvMessage(nil)
			var ended *h3.SessionError
			if !errors.Is(err, websock.ErrIdle) || !errors.As(err, &ended) || ended.Remote {
				t.Errorf("the WebSocket of before: %v", err)
			}
			c := s.mustDial(t, websock.Config{})
			wantEcho(t, c, "after")
			c.Abort(nil)
		})
	}
}

// A ping is a frame that its receiver ignores.
func TestASessionIsPinged(t *testing.T) {
	control := make(chan io.Reader, 1)
	s := newRawServer(t, nil, func(c *rawConn) {
		c.settle(extendedConnect)
		if str, err := c.AcceptUniStream(context.Background()); err == nil {
			control <- str
		}
		c.accept()
	})
	c := s.mustDial(t, websock.Config{KeepAlive: websock.KeepAlive{Ping: 20 * time.Millisecond, Timeout: -1}})
	defer c.Abort(nil)
	b := make([]byte, len(varints(0))+len(settings)+3*len(ping))
	if _, err := io.ReadFull(<-control, b); err != nil {
		t.Fatal(err)
	}
	if want := bytes.Repeat(ping, 3); !bytes.HasSuffix(b, want) {
		t.Errorf("the control stream begins with %x, want pings at its end", b)
	}
}

// settings is the SETTINGS frame of a client, and ping the frame with which it asks for a sign of life.
var (
	settings = frame(0x4, varints(0x6, 64<<10))
	ping     = frame(0x21, nil)
)

// What answers is alive.
func TestPingsLeaveASessionAsItIs(t *testing.T) {
	s := newServer(t, echo)
	session := s.session(t)
	c, _, err := session.OpenStream(t.Context(), s.fields())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 10 {
		if err := h3.Ping(session); err != nil {
			t.Fatal(err)
		}
	}
	session.KeepAlive(10*time.Millisecond, patience, errors.New("silent"))
	stream := h3.StreamOf(c)
	masked := []byte{0x81, 0x85, 0, 0, 0, 0, 'h', 'e', 'l', 'l', 'o'}
	for range 10 {
		stream.SetDeadline(time.Now().Add(patience))
		if _, err := stream.Write(masked); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(stream, make([]byte, 7)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // a ping is sent meanwhile
	}
	if err := session.Err(); err != nil {
		t.Error(err)
	}
}
