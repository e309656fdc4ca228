package fanout

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/handshake"
)

// slowly is a server that reads so many bytes in a second, and answers every ping that it gets to.
func slowly(t *testing.T, rate int) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				handshake.ServerConn(context.Background(), conn, nil)
				eachFrame(slowConn{conn, rate}, func(h websock.Header, payload []byte) {
					if h.Opcode == websock.OpPing {
						conn.Write(append([]byte{0x8A, byte(len(payload))}, payload...))
					} else {
						conn.Write([]byte{0x81, 2, 'o', 'k'})
					}
				})
			}()
		}
	}()
	return "ws://" + l.Addr().String() + "/"
}

type slowConn struct {
	net.Conn
	rate int
}

func (c slowConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	time.Sleep(time.Duration(n) * time.Second / time.Duration(c.rate))
	return n, err
}

func TestAnUploadThatTakesLongIsNotCut(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		answered := make(chan struct{}, 1)
		g := begun(t, Options{
			Targets:     over(transport, slowly(t, 2<<20)),
			Ping:        400 * time.Millisecond,
			PingTimeout: 600 * time.Millisecond,
			OnMessage:   func(*Slot, websock.Opcode, []byte) { answered <- struct{}{} },
			OnDown: func(_ *Slot, err error, _ time.Duration) {
				if ReasonOf(err) != ShutDown {
					t.Error(err)
					answered <- struct{}{}
				}
			},
		})
		allUp(t, g)
		if err := g.Slot(0).SendBinary(make([]byte, 6<<20)); err != nil {
			t.Fatal(err)
		}
		<-answered
	})
}

func TestAMessageIsSentInPlaceOfAPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		d := newDialler(func(context.Context, string, int) (net.Conn, error) {
			return serve(func(conn net.Conn) {
				conn.Write([]byte{0x89, 5, 'h', 'e', 'l', 'l', 'o'}) // a ping of its own
				eachFrame(conn, func(h websock.Header, payload []byte) {
					got = append(got, h.Opcode.String()+" "+string(payload))
					if h.Opcode == websock.OpText {
						conn.Write([]byte{0x81, 2, 'o', 'k'})
					}
				})
			}), nil
		})
		var pings []string
		g, shutDown := started(t, Options{
			Targets: d.targets("a"), Ping: 10 * time.Second, PingTimeout: 3 * time.Second,
			PingMessage: []byte(`{"op":"ping"}`),
			OnPing:      func(_ *Slot, p []byte) { pings = append(pings, string(p)) },
		})
		defer shutDown()
		time.Sleep(65 * time.Second)
		synctest.Wait()
		beats := 0
		for _, frame := range got {
			switch {
			case strings.HasSuffix(frame, ` {"op":"ping"}`):
				beats++
			case !strings.HasSuffix(frame, " hello"): // the pong
				t.Errorf("%q", frame)
			}
		}
		if s := g.Stats(); beats < 6 || beats > 7 || s.PingsSent != uint64(beats) || s.Up != 1 || s.PingTimeouts != 0 {
			t.Errorf("%q, %+v", got, s)
		}
		if len(pings) != 1 || pings[0] != "hello" {
			t.Errorf("%q", pings)
		}
	})
	for name, o := range map[string]Options{
		"text that is not UTF-8": {PingMessage: []byte{0xff}},
		"a close frame":          {PingMessage: []byte("x"), PingOpcode: websock.OpClose},
	} {
		o.Targets = URLs("ws://127.0.0.1:1/")
		if g, err := Start(o); err == nil {
			t.Error(name)
			shutdown(t, g)
		} else if !errors.Is(err, websock.ErrInvalidUTF8) && !errors.Is(err, websock.ErrFrameOrder) {
			t.Error(err)
		}
	}
}

// A peer that is asked and takes nothing is asked once.
func TestAtMostOnePingIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pings atomic.Int32
		d := newDialler(func(context.Context, string, int) (net.Conn, error) {
			return serve(func(conn net.Conn) {
				eachFrame(conn, func(h websock.Header, _ []byte) {
					if h.Opcode == websock.OpPing {
						pings.Add(1)
					}
				})
			}), nil
		})
		_, shutDown := started(t, Options{Targets: d.targets("a"), Ping: time.Second, PingTimeout: time.Minute})
		defer shutDown()
		time.Sleep(50 * time.Second)
		if n := pings.Load(); n != 1 {
			t.Errorf("%d pings", n)
		}
	})
}

// A heartbeat follows the last one after Ping, however much later the peer would be given up.
func TestHeartbeatsKeepToTheirInterval(t *testing.T) {
	const ping, pings = 200 * time.Millisecond, 50
	for _, timeout := range []time.Duration{-1, ping / 2, ping, 10 * time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			d := newDialler(func(context.Context, string, int) (net.Conn, error) {
				return serve(func(conn net.Conn) {
					eachFrame(conn, func(h websock.Header, payload []byte) {
						if h.Opcode == websock.OpPing {
							conn.Write(append([]byte{0x8A, byte(len(payload))}, payload...))
						}
					})
				}), nil
			})
			g, shutDown := started(t, Options{Targets: d.targets("a"), Ping: ping, PingTimeout: timeout})
			defer shutDown()
			g.WaitUp(t.Context(), 1)
			time.Sleep(pings * ping)
			if n := g.Stats().PingsSent; n < pings*4/5 || n > pings+1 {
				t.Errorf("%d pings in %v with a timeout of %v", n, pings*ping, timeout)
			}
		})
	}
}
