package fanout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/internal/timing"
	"github.com/seed004e8d11/websock/mask"
)

// The tests of times run in a bubble, whose clock stands still while anything runs, over
// pipes.

// A dialler dials in place of the network, and notes when.
type dialler struct {
	began  time.Time
	answer func(ctx context.Context, addr string, n int) (net.Conn, error) // n: how many came before

	mu    sync.Mutex
	dials []time.Duration
}

func newDialler(answer func(ctx context.Context, addr string, n int) (net.Conn, error)) *dialler {
	return &dialler{began: time.Now(), answer: answer}
}

func (d *dialler) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	d.mu.Lock()
	n := len(d.dials)
	d.dials = append(d.dials, time.Since(d.began))
	d.mu.Unlock()
	return d.answer(ctx, addr, n)
}

func (d *dialler) times() []time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.dials)
}

// targets returns a target for each host, all dialled by d.
func (d *dialler) targets(hosts ...string) (targets []Target) {
	for _, host := range hosts {
		targets = append(targets, Target{Config: websock.Config{Host: host, NetDial: d.dial, Proxy: websock.NoProxy}})
	}
	return targets
}

// serve returns the client's end of a connection whose other end is accepted and then left
// to f, after which it is closed.
func serve(f func(conn net.Conn)) net.Conn {
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		if _, _, err := handshake.ServerConn(context.Background(), server, nil); err == nil {
			f(server)
		}
	}()
	return client
}

// reply returns the client's end of a connection on which the request gets this answer.
func reply(answer string) net.Conn {
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		server.Read(make([]byte, 4096))
		io.WriteString(server, answer)
	}()
	return client
}

// deaf reads and answers nothing.
func deaf(conn net.Conn) { io.Copy(io.Discard, conn) }

// closing closes with a code after a while.
func closing(code websock.CloseCode, after time.Duration) func(net.Conn) {
	return func(conn net.Conn) {
		go deaf(conn)
		time.Sleep(after)
		conn.Write(append([]byte{0x88, 2}, engine.AppendClose(nil, code, "")...))
	}
}

// eachFrame reads the client's frames.
func eachFrame(conn net.Conn, f func(h websock.Header, payload []byte)) {
	var buf []byte
	for {
		h, n, _ := engine.ParseHeader(buf)
		if n > 0 && int64(len(buf)-n) >= h.Length {
			payload := buf[n : n+int(h.Length)]
			mask.XOR(payload, h.Key, 0)
			f(h, payload)
			buf = buf[n+int(h.Length):]
			continue
		}
		more := make([]byte, 4096)
		n, err := conn.Read(more)
		if err != nil {
			return
		}
		buf = append(buf, more[:n]...)
	}
}

// started is a Group that is shut down by the function returned.
func started(t *testing.T, o Options) (g *Group, shutDown func()) {
	t.Helper()
	g, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	return g, func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := g.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour) // for whoever has to give up first
	}
}

func TestDiallingKeepsItsPace(t *testing.T) {
	for _, test := range []struct {
		rate  float64
		burst int
	}{{10, 1}, {10, 5}, {0.5, 1}, {1000, 50}} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const slots = 40
				d := newDialler(func(context.Context, string, int) (net.Conn, error) { return serve(deaf), nil })
				g, shutDown := started(t, Options{Targets: d.targets("a"), Size: slots, Pace: Pace{Rate: test.rate, Burst: test.burst}, Ping: -1})
				defer shutDown()
				g.Wait(t.Context())
				for i, at := range d.times() {
					earliest := time.Duration(float64(max(i-test.burst+1, 0)) / test.rate * float64(time.Second))
					if at < earliest-time.Microsecond || at > earliest+time.Millisecond {
						t.Errorf("dial %d at %v, want %v", i, at, earliest)
					}
				}
				if s := g.Stats(); s.Up != slots || s.Attempts != slots || s.Ready != slots {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// A blocking dialler holds every dial up until it is let through, and counts.
type blocking struct {
	mu         sync.Mutex
	connecting map[string]int
	most       map[string]int
	all, peak  int
}

func (b *blocking) dial(_ context.Context, addr string, _ int) (net.Conn, error) {
	b.change(addr, 1)
	time.Sleep(500 * time.Millisecond)
	b.change(addr, -1)
	return serve(deaf), nil
}

func (b *blocking) change(addr string, by int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.connecting[addr] += by
	b.most[addr] = max(b.most[addr], b.connecting[addr])
	b.all += by
	b.peak = max(b.peak, b.all)
}

func TestConnectingIsBoundedByHostAndAltogether(t *testing.T) {
	for _, test := range []struct {
		name          string
		pace          Pace
		perHost, peak int
	}{
		{"as many as can be", Pace{}, 10, 30},
		{"as many as may be under way", Pace{Handshakes: 6}, 6, 6},
		{"as the RFC has it", Pace{PerHost: 1}, 1, 3},
		{"two to a host", Pace{PerHost: 2}, 2, 6},
		{"two altogether", Pace{Handshakes: 2}, 2, 2},
		{"many to a host", Pace{PerHost: -1, Handshakes: 12}, 10, 12},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &blocking{connecting: map[string]int{}, most: map[string]int{}}
				d := newDialler(b.dial)
				test.pace.Rate = -1
				g, shutDown := started(t, Options{Targets: d.targets("a", "b", "c"), Size: 30, Pace: test.pace, Ping: -1})
				defer shutDown()
				if err := g.WaitUp(t.Context(), 30); err != nil {
					t.Fatal(err)
				}
				for addr, most := range b.most {
					if most > test.perHost {
						t.Errorf("%d connecting to %s at a time", most, addr)
					}
				}
				if b.peak != test.peak {
					t.Errorf("%d connecting at a time", b.peak)
				}
			})
		})
	}
}

func TestAHostThatDoesNotAnswerHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDialler(func(ctx context.Context, addr string, _ int) (net.Conn, error) {
			if addr == "dead:80" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return serve(deaf), nil
		})
		g, shutDown := started(t, Options{Targets: d.targets("dead", "alive"), Size: 1000, Pace: Pace{Rate: 100}, Ping: -1})
		defer shutDown()
		if err := g.WaitUp(t.Context(), 500); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(d.began); took > 6*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

var errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}

func TestDelaysGrowAndVary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDialler(func(context.Context, string, int) (net.Conn, error) { return nil, errRefused })
		_, shutDown := started(t, Options{Targets: d.targets("a"), Backoff: Backoff{Base: time.Second, Max: time.Minute}})
		defer shutDown()
		time.Sleep(10 * time.Hour)
		times := d.times()
		bound, sum := time.Second, time.Duration(0)
		for i := 1; i < len(times); i++ {
			gap := times[i] - times[i-1]
			if gap > bound+100*time.Millisecond {
				t.Fatalf("gap %d is %v, above %v", i, gap, bound)
			}
			bound = min(2*bound, time.Minute)
			sum += gap
		}
		mean := sum / time.Duration(len(times)-1)
		if mean < 25*time.Second || mean > 35*time.Second {
			t.Errorf("the mean of %d gaps is %v, and should be about half a minute", len(times)-1, mean)
		}
	})
}

func TestWhatTheServerAsksForIsHeeded(t *testing.T) {
	tests := map[string]struct {
		conn        func() net.Conn
		least, most time.Duration
	}{
		"Retry-After in seconds": {
			func() net.Conn { return reply("HTTP/1.1 503 Busy\r\nRetry-After: 90\r\nContent-Length: 0\r\n\r\n") },
			90 * time.Second, 91 * time.Second,
		},
		"Retry-After as a date": {
			func() net.Conn {
				date := time.Now().Add(2 * time.Minute).UTC().Format(http.TimeFormat)
				return reply("HTTP/1.1 429 Slow\r\nRetry-After: " + date + "\r\nContent-Length: 0\r\n\r\n")
			},
			119 * time.Second, 122 * time.Second,
		},
		"Retry-After of years": {
			func() net.Conn {
				return reply("HTTP/1.1 503 Busy\r\nRetry-After: 999999999\r\nContent-Length: 0\r\n\r\n")
			},
			time.Hour, time.Hour + time.Second,
		},
		"Retry-After above 2^32": {
			func() net.Conn {
				return reply("HTTP/1.1 503 Busy\r\nRetry-After: 4294967296\r\nContent-Length: 0\r\n\r\n")
			},
			time.Hour, time.Hour + time.Second,
		},
		"Retry-After above 2^64": {
			func() net.Conn {
				return reply("HTTP/1.1 429 Slow\r\nRetry-After: 99999999999999999999999\r\nContent-Length: 0\r\n\r\n")
			},
			time.Hour, time.Hour + time.Second,
		},
		"a negative Retry-After": {
			func() net.Conn { return reply("HTTP/1.1 503 Busy\r\nRetry-After: -5\r\nContent-Length: 0\r\n\r\n") },
			0, time.Second,
		},
		"Retry-After that is none": {
			func() net.Conn { return reply("HTTP/1.1 503 Busy\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n") },
			0, time.Second,
		},
		"1012": {func() net.Conn { return serve(closing(websock.CloseServiceRestart, 0)) }, 5 * time.Second, 30 * time.Second},
		"1013": {func() net.Conn { return serve(closing(websock.CloseTryAgainLater, 0)) }, 30 * time.Second, time.Minute},
		"1000": {func() net.Conn { return serve(closing(websock.CloseNormal, 0)) }, 0, time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				synctest.Test(t, func(t *testing.T) {
					d := newDialler(func(_ context.Context, _ string, n int) (net.Conn, error) {
						if n == 0 {
							return test.conn(), nil
						}
						return serve(deaf), nil
					})
					next := make(chan time.Duration, 1)
					g, shutDown := started(t, Options{
						Targets: d.targets("a"),
						Backoff: Backoff{Base: time.Second},
						OnDown:  func(_ *Slot, _ error, d time.Duration) { next <- d },
					})
					defer shutDown()
					said := <-next
					g.WaitUp(t.Context(), 1)
					times := d.times()
					gap := times[1] - times[0]
					if said < test.least || said > test.most || gap < said-100*time.Millisecond || gap > said+time.Second {
						t.Errorf("after %v, said %v, want %v to %v", gap, said, test.least, test.most)
					}
					<-time.After(time.Second)
					go func() { <-next }() // that of the shutdown
				})
			}
		})
	}
}

// saying sends a message, and closes with a code after a while.
func saying(code websock.CloseCode, after time.Duration) func(net.Conn) {
	return func(conn net.Conn) {
		conn.Write([]byte{0x81, 2, 'h', 'i'})
		closing(code, after)(conn)
	}
}

// cutting ends the stream after a while.
func cutting(after time.Duration) func(net.Conn) {
	return func(conn net.Conn) {
		go deaf(conn)
		time.Sleep(after)
	}
}

func TestWhichLossesEndARowOfFailures(t *testing.T) {
	const second = time.Second
	for name, test := range map[string]struct {
		peer func(net.Conn)
		want int // failures in a row after the loss, three attempts having failed before
	}{
		"1000":                  {closing(websock.CloseNormal, second), 1},
		"1001":                  {closing(websock.CloseGoingAway, second), 1},
		"1012":                  {closing(websock.CloseServiceRestart, second), 1},
		"1011":                  {closing(websock.CloseInternalError, second), 4},
		"1013":                  {closing(websock.CloseTryAgainLater, second), 4},
		"cut":                   {cutting(second), 4},
		"1011 after a minute":   {closing(websock.CloseInternalError, time.Minute), 1},
		"cut after a minute":    {cutting(time.Minute), 1},
		"1011 after a message":  {saying(websock.CloseInternalError, second), 1},
		"4000 after a message":  {saying(4000, second), 1},
		"1001 after no seconds": {closing(websock.CloseGoingAway, 0), 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDialler(func(_ context.Context, _ string, n int) (net.Conn, error) {
					switch {
					case n < 3:
						return nil, errRefused
					case n == 3:
						return serve(test.peer), nil
					}
					return serve(deaf), nil
				})
				var failures []int
				g, shutDown := started(t, Options{
					Targets: d.targets("a"),
					Ping:    -1,
					OnDown:  func(s *Slot, _ error, _ time.Duration) { failures = append(failures, s.Failures()) },
				})
				time.Sleep(10 * time.Minute)
				g.WaitUp(t.Context(), 1)
				synctest.Wait()
				if want := []int{1, 2, 3, test.want}; !slices.Equal(failures, want) {
					t.Errorf("%v, want %v", failures, want)
				}
				shutDown()
			})
		})
	}
}

// A server that closes each connection after a few seconds, as exchanges do.
func TestAFleetDoesNotDecayWhereEachConnectionIsClosedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots = 300
		d := newDialler(func(_ context.Context, _ string, n int) (net.Conn, error) {
			return serve(closing(websock.CloseGoingAway, 5*time.Second+time.Duration(n%100)*100*time.Millisecond)), nil
		})
		g, shutDown := started(t, Options{Targets: d.targets("a"), Size: slots, Ping: -1, Pace: Pace{Rate: -1}})
		defer shutDown()
		time.Sleep(10 * time.Second)
		for range 30 {
			time.Sleep(10 * time.Second)
			if up := g.Stats().Up; up < slots*9/10 {
				t.Errorf("%d of %d are up after %v", up, slots, time.Since(d.began))
			}
		}
	})
}

func TestNegativeMeansNone(t *testing.T) {
	huge := time.Duration(1<<63 - 1)
	for name, test := range map[string]struct {
		backoff Backoff
		most    time.Duration // between two attempts that fail
	}{
		"no base":                {Backoff{Base: -1}, 0},
		"nothing":                {Backoff{Base: -1, Max: -1, Stable: -1, RestartMin: -1, RestartMax: -1}, 0},
		"no largest":             {Backoff{Base: time.Second, Max: -1}, huge},
		"a huge base":            {Backoff{Base: huge}, huge},
		"a huge largest":         {Backoff{Max: huge}, huge},
		"all huge":               {Backoff{Base: huge, Max: huge, Stable: huge, RestartMin: huge, RestartMax: huge}, huge},
		"the least there is":     {Backoff{Base: -huge, Max: -huge, Stable: -huge, RestartMin: -huge, RestartMax: -huge}, 0},
		"a largest below a base": {Backoff{Base: time.Second, Max: time.Millisecond}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDialler(func(context.Context, string, int) (net.Conn, error) { return nil, errRefused })
				_, shutDown := started(t, Options{Targets: d.targets("a"), Backoff: test.backoff})
				defer shutDown()
				time.Sleep(time.Minute)
				times := d.times()
				for i := 1; i < len(times); i++ {
					if gap := times[i] - times[i-1]; test.most < huge && gap > test.most+100*time.Millisecond {
						t.Fatalf("attempts %d and %d are %v apart, want at most %v", i-1, i, gap, test.most)
					}
				}
				if test.most < huge && len(times) < 10 {
					t.Errorf("%d attempts", len(times))
				}
			})
		})
	}
	for _, code := range []websock.CloseCode{websock.CloseServiceRestart, websock.CloseTryAgainLater} {
		for _, b := range []Backoff{{Base: huge, Max: huge, RestartMin: huge, RestartMax: huge}, {Base: -1, Max: -1, RestartMin: -1, RestartMax: -1}} {
			b.complete()
			if d := b.delay(1<<32-1, &websock.CloseError{Code: code}, time.Now()); d < 0 || d > forever {
				t.Errorf("%v after close code %v", d, code)
			}
		}
	}
}

func TestANegativePingTimeoutGivesNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDialler(func(context.Context, string, int) (net.Conn, error) { return serve(deaf), nil })
		g, shutDown := started(t, Options{Targets: d.targets("a"), Ping: time.Second, PingTimeout: -1})
		defer shutDown()
		time.Sleep(time.Hour)
		if s := g.Stats(); s.Up != 1 || s.Attempts != 1 || s.PingsSent == 0 || s.PingTimeouts != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestOnDownSaysWhichOfThreeThingsHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDialler(func(_ context.Context, _ string, n int) (net.Conn, error) {
			switch n {
			case 0:
				return nil, errRefused
			case 1:
				return serve(closing(4000, time.Second)), nil
			}
			return serve(deaf), nil
		})
		var reasons []Reason
		var kinds []Failure
		g, shutDown := started(t, Options{Targets: d.targets("a"), Ping: -1, OnDown: func(s *Slot, err error, next time.Duration) {
			reasons = append(reasons, ReasonOf(err))
			kinds = append(kinds, FailureOf(err))
			if s.Err() != err || (next < 0) != (ReasonOf(err) == ShutDown) {
				t.Errorf("%v, next %v; the slot says %v", err, next, s.Err())
			}
		}})
		time.Sleep(time.Minute)
		g.WaitUp(t.Context(), 1)
		shutDown()
		if want := []Reason{AttemptFailed, ConnectionLost, ShutDown}; !slices.Equal(reasons, want) {
			t.Errorf("%v, want %v", reasons, want)
		}
		if want := []Failure{FailedConnect, FailedLost, FailedShutdown}; !slices.Equal(kinds, want) {
			t.Errorf("%v, want %v", kinds, want)
		}
	})
}

func TestRetryIsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDialler(func(_ context.Context, _ string, n int) (net.Conn, error) {
			if n == 0 {
				return reply("HTTP/1.1 503 Busy\r\nRetry-After: 1000\r\nContent-Length: 0\r\n\r\n"), nil
			}
			if n == 1 {
				return reply("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"), nil
			}
			return serve(deaf), nil
		})
		g, shutDown := started(t, Options{Targets: d.targets("a"), Ping: -1})
		defer shutDown()
		s := g.Slot(0)
		for _, want := range []State{Waiting, Stopped} {
			time.Sleep(time.Second)
			if s.State() != want {
				t.Fatalf("%v, want %v: %v", s.State(), want, s.Err())
			}
			s.Retry()
		}
		time.Sleep(time.Second)
		if s.State() != Up {
			t.Errorf("%v: %v", s.State(), s.Err())
		}
		s.Retry() // does nothing
		time.Sleep(time.Hour)
		if n := len(d.times()); n != 3 {
			t.Errorf("%d dials", n)
		}
	})
}

func TestPingsMeasureTheRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const trip = 150 * time.Millisecond
		var pings []time.Duration
		began := time.Now()
		d := newDialler(func(context.Context, string, int) (net.Conn, error) {
			return serve(func(conn net.Conn) {
				eachFrame(conn, func(h websock.Header, payload []byte) {
					if h.Opcode != websock.OpPing {
						return
					}
					pings = append(pings, time.Since(began))
					conn.Write([]byte{0x8A, 2, 'n', 'o'}) // which is no answer
					time.Sleep(trip)
					conn.Write(append([]byte{0x8A, byte(len(payload))}, payload...))
				})
			}), nil
		})
		g, shutDown := started(t, Options{Targets: d.targets("a"), Ping: 10 * time.Second, PingTimeout: 3 * time.Second})
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

func TestAPeerFromWhichNothingComesIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDialler(func(_ context.Context, _ string, n int) (net.Conn, error) {
			if n == 0 {
				return serve(deaf), nil
			}
			return serve(func(conn net.Conn) { // answers no ping, but is alive
				go deaf(conn)
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
		g, shutDown := started(t, Options{
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

func TestOnConnectAndPrepareAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDialler(func(context.Context, string, int) (net.Conn, error) { return serve(deaf), nil })
		targets := d.targets("a")
		targets[0].Config.Timeout = 2 * time.Second
		var downs []error
		prepared := 0
		_, shutDown := started(t, Options{
			Targets: targets,
			Backoff: Backoff{Base: time.Minute},
			Prepare: func(ctx context.Context, _ *Slot, _ *Target) error {
				if prepared++; prepared == 1 {
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			},
			OnConnect: func(_ context.Context, _ *Slot, c *websock.Conn) error {
				_, _, err := c.RecvMessage(nil)
				return err
			},
			OnDown: func(_ *Slot, err error, _ time.Duration) { downs = append(downs, err) },
		})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		for i, err := range downs {
			if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, new(*websock.CloseError)) != (i > 0) {
				t.Errorf("failure %d: %v", i, err)
			}
		}
		if len(downs) < 3 {
			t.Errorf("%v", downs)
		}
		shutDown()
	})
}

// Peers that don't read keep goroutines of the crew. Once that is known, the others wait for
// none of them.
func TestBroadcastsDoNotWaitForPeersThatDoNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots = 60 // every other of which doesn't read
		stop := make(chan struct{})
		var mu sync.Mutex
		var arrivals []time.Time
		d := newDialler(func(_ context.Context, _ string, n int) (net.Conn, error) {
			if n%2 == 0 {
				return serve(func(net.Conn) { <-stop }), nil
			}
			return serve(func(conn net.Conn) {
				eachFrame(conn, func(websock.Header, []byte) {
					mu.Lock()
					defer mu.Unlock()
					arrivals = append(arrivals, time.Now())
				})
			}), nil
		})
		g, shutDown := started(t, Options{Targets: d.targets("a"), Size: slots, Ping: -1})
		defer shutDown()
		defer close(stop)
		if err := g.WaitUp(t.Context(), slots); err != nil {
			t.Fatal(err)
		}
		for round := range 5 {
			arrivals = nil
			began := time.Now()
			g.Broadcast(websock.OpText, []byte("news"))
			time.Sleep(time.Second)
			synctest.Wait()
			if len(arrivals) != slots/2 {
				t.Fatalf("round %d: %d arrivals", round, len(arrivals))
			}
			last := slices.MaxFunc(arrivals, time.Time.Compare)
			if learning := round < 2; last != began && !learning {
				t.Errorf("round %d: the last arrival was %v late", round, last.Sub(began))
			}
		}
	})
}
