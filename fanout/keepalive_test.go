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
	"github.com/seed004e8d11/websock/internal/timing"
)

func TestPingsMeasureTheRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const trip = 150 * time.Millisecond
		var pings []time.Duration
		began := time.Now()
		d := newFakeDialer(func(context.Context, string, int) (net.Conn, error) {
			return servePipe(func(conn net.Conn) {
				eachFrame(conn, func(h websock.Header, payload []byte) {
					if h.Opcode != websock.OpPing {
						return
					}
					pings = append(pings, time.Since(began))
					conn.Write([]byte{0x8A, 2, 'n', 'o'}) // not the answer to this ping
					time.Sleep(trip)
					writePong(conn, payload)
				})
			}), nil
		})
		g, shutDown := startInBubble(t, Options{Targets: d.targets("a"), Ping: 10 * time.Second, PingTimeout: 3 * time.Second})
		defer shutDown()
		time.Sleep(65 * time.Second)
		synctest.Wait()
		if len(pings) < 6 || len(pings) > 7 || pings[0] < 5*time.Second-timing.Tick {
			t.Errorf("pings at %v", pings)
		}
		for i := 1; i < len(pings); i++ {
			if gap := pings[i] - pings[i-1]; gap < 10*time.Second || gap > 10*time.Second+5*timing.Tick {
				t.Errorf("pings at %v", pings)
			}
		}
		if rtt := g.Slot(0).RTT(); rtt != trip {
			t.Errorf("round trip %v", rtt)
		}
		s := g.Stats()
		if n := uint64(len(pings)); s.PingsSent != n || s.RoundTrip.Count != n || s.RoundTrip.Sum != time.Duration(n)*trip {
			t.Errorf("%+v", s)
		}
		if q := s.RoundTrip.Quantile(0.5); q < trip || q > 2*trip {
			t.Errorf("median %v", q)
		}
	})
}

// dialAnswering dials a server that answers pings.
func dialAnswering(context.Context, string, int) (net.Conn, error) {
	return servePipe(func(conn net.Conn) {
		eachFrame(conn, func(h websock.Header, payload []byte) {
			if h.Opcode == websock.OpPing {
				writePong(conn, payload)
			}
		})
	}), nil
}

// Ping is the interval, however long PingTimeout is.
func TestPingsAreSentAtTheirInterval(t *testing.T) {
	const ping, pings = 200 * time.Millisecond, 50
	for _, timeout := range []time.Duration{-1, ping / 2, ping, 10 * time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			d := newFakeDialer(dialAnswering)
			g, shutDown := startInBubble(t, Options{Targets: d.targets("a"), Ping: ping, PingTimeout: timeout})
			defer shutDown()
			g.WaitUp(t.Context(), 1)
			time.Sleep(pings * ping)
			if n := g.Stats().PingsSent; n < pings*4/5 || n > pings+1 {
				t.Errorf("%d pings in %v with a timeout of %v", n, pings*ping, timeout)
			}
		})
	}
}

// A deadline that a program sets on the connection of a slot is that of its sends.
func TestPingsAreSentAfterTheSendDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDialer(dialAnswering)
		g, shutDown := startInBubble(t, Options{Targets: d.targets("a"), Ping: time.Second})
		defer shutDown()
		g.WaitUp(t.Context(), 1)
		conn := g.Slot(0).Conn()
		conn.SetSendDeadline(time.Now().Add(time.Second))
		time.Sleep(10 * time.Second)
		if pongs := g.Stats().RoundTrip.Count; pongs < 5 || conn.Err() != nil {
			t.Errorf("%d pings were answered, and the connection ended with %v", pongs, conn.Err())
		}
	})
}

// A peer that doesn't answer the first ping gets no second one.
func TestAtMostOnePingIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pings atomic.Int32
		d := newFakeDialer(func(context.Context, string, int) (net.Conn, error) {
			return servePipe(func(conn net.Conn) {
				eachFrame(conn, func(h websock.Header, _ []byte) {
					if h.Opcode == websock.OpPing {
						pings.Add(1)
					}
				})
			}), nil
		})
		_, shutDown := startInBubble(t, Options{Targets: d.targets("a"), Ping: time.Second, PingTimeout: time.Minute})
		defer shutDown()
		time.Sleep(50 * time.Second)
		if n := pings.Load(); n != 1 {
			t.Errorf("%d pings", n)
		}
	})
}

func TestAMessageIsSentInPlaceOfAPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		d := newFakeDialer(func(context.Context, string, int) (net.Conn, error) {
			return servePipe(func(conn net.Conn) {
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
		g, shutDown := startInBubble(t, Options{
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

func TestAPeerThatSendsNothingIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDialer(func(_ context.Context, _ string, n int) (net.Conn, error) {
			if n == 0 {
				return servePipe(ignoreAll), nil
			}
			return servePipe(func(conn net.Conn) { // answers no ping, but is alive
				go ignoreAll(conn)
				for {
					time.Sleep(2 * time.Second)
					if _, err := conn.Write([]byte{0x82, 0}); err != nil {
						return
					}
				}
			}), nil
		})
		var downs []error
		var at time.Duration
		g, shutDown := startInBubble(t, Options{
			Targets: d.targets("a"), Ping: 10 * time.Second, PingTimeout: 3 * time.Second,
			OnDown: func(_ *Slot, err error, _ time.Duration) {
				downs, at = append(downs, err), time.Since(d.began)
			},
		})
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(downs) != 1 || !errors.Is(downs[0], websock.ErrIdle) || at < 8*time.Second-timing.Tick || at > 14*time.Second {
			t.Errorf("%v, the last at %v", downs, at)
		}
		if s := g.Stats(); s.PingTimeouts != 1 || s.Up != 1 || g.Slot(0).RTT() != 0 {
			t.Errorf("%+v", s)
		}
		shutDown()
	})
}

// Over a Mux the peer is the connection, which is read whatever its WebSockets do.
func TestAPeerThatDoesNotReadIsDropped(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		server.OnMessage = func(c *websock.Conn, _ websock.Opcode, _ []byte) { c.Pause() }
		downs := make(chan error, 10)
		targets := targetsFor(transport, server.url())
		targets[0].Config.NetDial = dialSmallBuffer
		g := startGroup(t, Options{
			Targets:     targets,
			Ping:        100 * time.Millisecond,
			PingTimeout: 100 * time.Millisecond,
			OnDown:      func(_ *Slot, err error, _ time.Duration) { downs <- err },
		})
		waitAllUp(t, g)
		for g.Slot(0).SendBinary(make([]byte, 64<<10)) == nil {
		}
		if err := <-downs; !errors.Is(err, websock.ErrIdle) {
			t.Error(err)
		}
	})
}

func TestALongUploadIsNotAborted(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		t.Parallel()
		answered := make(chan struct{}, 1)
		g := startGroup(t, Options{
			Targets:     targetsFor(transport, slowServer(t, 256<<10)), // it takes 24 s
			Ping:        time.Second,
			PingTimeout: 20 * time.Second,
			OnMessage:   func(*Slot, websock.Opcode, []byte) { answered <- struct{}{} },
			OnDown: func(_ *Slot, err error, _ time.Duration) {
				if ReasonOf(err) != ShutDown {
					t.Error(err)
					answered <- struct{}{}
				}
			},
		})
		waitAllUp(t, g)
		if err := g.Slot(0).SendBinary(make([]byte, 6<<20)); err != nil {
			t.Fatal(err)
		}
		<-answered
	})
}

func TestANegativePingTimeoutDropsNoPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDialer(func(context.Context, string, int) (net.Conn, error) { return servePipe(ignoreAll), nil })
		g, shutDown := startInBubble(t, Options{Targets: d.targets("a"), Ping: time.Second, PingTimeout: -1})
		defer shutDown()
		time.Sleep(time.Hour)
		if s := g.Stats(); s.Up != 1 || s.Attempts != 1 || s.PingsSent == 0 || s.PingTimeouts != 0 {
			t.Errorf("%+v", s)
		}
	})
}
