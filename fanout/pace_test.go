package fanout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
)

// Timers are not exact: here they ring at full milliseconds, as a busy machine's do.
func TestRatesAreReachedWithTimersThatAreLate(t *testing.T) {
	const tick = time.Millisecond
	for _, rate := range []float64{1, 10, 100, 999, 5000, 20000, 33333, 100000} {
		for _, burst := range []int{1, 10} {
			pace := Pace{Rate: rate, Burst: burst}
			p := pacer{interval: pace.interval(), burst: burst}
			now := time.Now()
			end := now.Add(10 * time.Second)
			began := 0
			for now.Before(end) {
				if wait := p.wait(now); wait > 0 {
					now = now.Add((wait + tick - 1) / tick * tick)
				} else {
					p.take()
					began++
				}
			}
			if want := 10 * rate; float64(began) < 0.97*want || float64(began) > 1.03*want+float64(burst) {
				t.Errorf("rate %v, burst %d: %d attempts in 10 s", rate, burst, began)
			}
		}
	}
}

func TestOnlyBurstBeginsAtOnceAfterAPause(t *testing.T) {
	p := pacer{interval: time.Millisecond, burst: 5}
	now := time.Now()
	for range 3 {
		n := 0
		for p.wait(now) <= 0 {
			p.take()
			n++
		}
		if n != 5 {
			t.Errorf("%d at once", n)
		}
		p.idle()
		now = now.Add(time.Hour)
	}
}

// What a machine can dial has no bound in a bubble.
func TestRatesAreReachedFromThePauseToTheLastSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots, rate = 20000, 20000
		d := newDialler(func(context.Context, string, int) (net.Conn, error) {
			time.Sleep(2 * time.Millisecond)
			return nil, errRefused
		})
		_, shutDown := started(t, Options{Targets: d.targets("a"), Size: slots, Pace: Pace{Rate: rate}, Backoff: Backoff{Base: time.Hour}})
		defer shutDown()
		time.Sleep(500 * time.Millisecond)
		if n := len(d.times()); n < rate/2*97/100 || n > rate/2*103/100 {
			t.Errorf("%d attempts in half a second", n)
		}
	})
}

// hang dials hosts that don't answer.
func hang(ctx context.Context) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestHostsThatDoNotAnswerHoldUpNoOther(t *testing.T) {
	for _, each := range []int{1, 100} { // slots
		synctest.Test(t, func(t *testing.T) {
			hosts := make([]string, 65)
			for i := range hosts {
				hosts[i] = fmt.Sprint("dead", i)
			}
			hosts[64] = "alive"
			d := newDialler(func(ctx context.Context, addr string, _ int) (net.Conn, error) {
				if strings.HasPrefix(addr, "dead") {
					return hang(ctx)
				}
				return serve(deaf), nil
			})
			g, shutDown := started(t, Options{Targets: d.targets(hosts...), Size: 65 * each, Pace: Pace{Rate: -1}, Ping: -1})
			defer shutDown()
			if err := g.WaitUp(t.Context(), each); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(d.began); took > 5*time.Second {
				t.Errorf("%d slots are up after %v", each, took)
			}
		})
	}
}

func TestAHostThatIsSlowGetsItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDialler(func(context.Context, string, int) (net.Conn, error) {
			time.Sleep(1500 * time.Millisecond)
			return serve(deaf), nil
		})
		g, shutDown := started(t, Options{Targets: d.targets("a"), Size: 640, Pace: Pace{Rate: -1}, Ping: -1})
		defer shutDown()
		g.WaitUp(t.Context(), 640)
		if took := time.Since(d.began); took > 30*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestAnOnConnectThatFailsHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDialler(func(context.Context, string, int) (net.Conn, error) { return serve(deaf), nil })
		const slots = 50
		g, shutDown := started(t, Options{
			Targets: d.targets("a"), Size: slots, Ping: -1,
			Pace:    Pace{Rate: -1, Handshakes: 1},
			Backoff: Backoff{Base: time.Hour},
			OnConnect: func(_ context.Context, s *Slot, _ *websock.Conn) error {
				if s.Number() < slots-1 {
					return errors.New("no")
				}
				return nil
			},
		})
		defer shutDown()
		g.WaitUp(t.Context(), 1)
		if took := time.Since(d.began); took > time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestRetryAfterIsForTheWholeHost(t *testing.T) {
	for _, status := range []string{"429 Slow", "503 Busy"} {
		synctest.Test(t, func(t *testing.T) {
			const slots = 200
			var mu sync.Mutex
			attempts := map[string][]time.Duration{}
			began := time.Now()
			d := newDialler(func(_ context.Context, addr string, _ int) (net.Conn, error) {
				mu.Lock()
				defer mu.Unlock()
				at := time.Since(began)
				attempts[addr] = append(attempts[addr], at)
				if addr == "busy:80" && at < 10*time.Second {
					return reply("HTTP/1.1 " + status + "\r\nRetry-After: 10\r\nContent-Length: 0\r\n\r\n"), nil
				}
				return serve(deaf), nil
			})
			g, shutDown := started(t, Options{Targets: d.targets("busy", "other"), Size: 2 * slots, Ping: -1, Pace: Pace{Rate: 100}})
			defer shutDown()
			if err := g.WaitUp(t.Context(), 2*slots); err != nil {
				t.Fatal(err)
			}
			early := 0
			for _, at := range attempts["busy:80"] {
				if at < 10*time.Second {
					early++
				}
			}
			if early != 1 {
				t.Errorf("%d attempts in the time for which the host has asked", early)
			}
			if last := attempts["other:80"]; last[len(last)-1] > 3*time.Second {
				t.Errorf("the other host's last attempt was at %v", last[len(last)-1])
			}
			if took := time.Since(began); took > 14*time.Second {
				t.Errorf("all are up after %v", took)
			}
		})
	}
}

func TestRetryEndsThePauseOfAHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDialler(func(_ context.Context, _ string, n int) (net.Conn, error) {
			if n == 0 {
				return reply("HTTP/1.1 503 Busy\r\nRetry-After: 1000\r\nContent-Length: 0\r\n\r\n"), nil
			}
			return serve(deaf), nil
		})
		g, shutDown := started(t, Options{Targets: d.targets("a"), Size: 2, Ping: -1})
		defer shutDown()
		time.Sleep(time.Second)
		g.Slot(1).Retry() // which waits for its turn
		time.Sleep(time.Second)
		if state := g.Slot(1).State(); state != Up {
			t.Errorf("%v after Retry", state)
		}
	})
}

// logged is a Logger's Handler that keeps the lines of a level.
type logged struct {
	slog.Handler
	least slog.Level
	mu    *sync.Mutex
	lines *[]string
}

func newLogged(least slog.Level) *logged {
	return &logged{slog.DiscardHandler, least, new(sync.Mutex), new([]string)}
}

func (l *logged) Enabled(_ context.Context, level slog.Level) bool { return level >= l.least }

func (l *logged) Handle(_ context.Context, r slog.Record) error {
	var text strings.Builder
	text.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		text.WriteString(" " + a.String())
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	*l.lines = append(*l.lines, text.String())
	return nil
}

func (l *logged) with(text string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range *l.lines {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

func TestOutagesAreLoggedAtTheFirstFailureAndAtEachDoubling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const failing = 100
		d := newDialler(func(_ context.Context, _ string, n int) (net.Conn, error) {
			if n < failing {
				return nil, errRefused
			}
			return serve(deaf), nil
		})
		lines := newLogged(slog.LevelInfo)
		targets := d.targets("feed.example")
		targets[0] = Target{URL: "ws://feed.example/v1?token=secret", Config: targets[0].Config}
		targets[0].Config.Host = ""
		g, shutDown := started(t, Options{Targets: targets, Size: 10, Ping: -1, Logger: slog.New(lines)})
		defer shutDown()
		g.WaitUp(t.Context(), 10)
		warned := lines.with("can't connect url=ws://feed.example/v1 failures=")
		for i, want := range []string{"=1 ", "=2 ", "=4 ", "=8 ", "=16 ", "=32 ", "=64 "} {
			if i >= len(warned) || !strings.Contains(warned[i], "failures"+want) || !strings.Contains(warned[i], "refused") {
				t.Fatalf("%q", warned)
			}
		}
		if again := lines.with("connected again url=ws://feed.example/v1 failures=100"); len(warned) != 7 || len(again) != 1 {
			t.Errorf("%q, %q", warned, again)
		}
		if secret := lines.with("secret"); len(secret) > 0 {
			t.Errorf("%q", secret)
		}
	})
}

// A host that nobody else waits for or connects to is remembered like any other.
func TestFailuresOfAHostWithOneSlotAreCountedTogether(t *testing.T) {
	for name, onConnect := range map[string]func(context.Context, *Slot, *websock.Conn) error{
		"no connection":   nil,
		"OnConnect fails": func(context.Context, *Slot, *websock.Conn) error { return errRefused },
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDialler(func(context.Context, string, int) (net.Conn, error) {
				if onConnect == nil {
					return nil, errRefused
				}
				return serve(deaf), nil
			})
			lines := newLogged(slog.LevelInfo)
			g, shutDown := started(t, Options{
				Targets: d.targets("a"), Ping: -1, OnConnect: onConnect,
				Backoff: Backoff{Max: time.Second}, Logger: slog.New(lines),
			})
			defer shutDown()
			for g.Slot(0).Failures() < 40 {
				time.Sleep(time.Second)
			}
			warned := lines.with("can't connect url=ws://a:80 failures=")
			for i, want := range []string{"=1 ", "=2 ", "=4 ", "=8 ", "=16 ", "=32 "} {
				if i >= len(warned) || !strings.Contains(warned[i], "failures"+want) {
					t.Fatalf("%s: %q", name, warned)
				}
			}
		})
	}
}

func TestAHostThatNobodyWaitsForIsLeftAloneToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDialler(func(_ context.Context, _ string, n int) (net.Conn, error) {
			if n == 0 {
				return reply("HTTP/1.1 503 Busy\r\nRetry-After: 10\r\nContent-Length: 0\r\n\r\n"), nil
			}
			return serve(deaf), nil
		})
		choose := func(s *Slot) Target {
			time.Sleep(time.Duration(s.Number()) * time.Second) // the other slot comes later
			return d.targets("a")[0]
		}
		g, shutDown := started(t, Options{Choose: choose, Size: 2, Ping: -1})
		defer shutDown()
		g.WaitUp(t.Context(), 2)
		if times := d.times(); times[1] < 10*time.Second {
			t.Errorf("attempts at %v", times)
		}
	})
}

func TestTheLogSaysWhatHoldsUpDialling(t *testing.T) {
	for want, pace := range map[string]Pace{
		"Pace.Rate":       {Rate: 10},
		"Pace.PerHost":    {Rate: -1, PerHost: 1},
		"Pace.Handshakes": {Rate: -1, PerHost: -1, Handshakes: 2},
		"":                {Rate: -1},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDialler(func(context.Context, string, int) (net.Conn, error) {
				time.Sleep(100 * time.Millisecond)
				return serve(deaf), nil
			})
			lines := newLogged(slog.LevelInfo)
			g, shutDown := started(t, Options{Targets: d.targets("a"), Size: 60, Pace: pace, Ping: -1, Logger: slog.New(lines)})
			defer shutDown()
			g.WaitUp(t.Context(), 60)
			got := lines.with("slots wait to be dialled")
			if want == "" {
				if len(got) > 0 {
					t.Errorf("%q", got)
				}
			} else if len(got) != 1 || !strings.Contains(got[0], "limit="+want+" waiting=") {
				t.Errorf("%s: %q", want, got)
			}
		})
	}
}
