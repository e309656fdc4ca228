package fanout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
)

// Timers are not exact. Here they fire at full milliseconds, as on a busy machine.
func TestTheRateIsReachedWithLateTimers(t *testing.T) {
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

func TestAfterAPauseOnlyBurstAttemptsBeginAtOnce(t *testing.T) {
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

// Also where an int has 32 bits.
func TestTheBurstIsThatOfThePaceAtEveryRate(t *testing.T) {
	for _, rate := range []float64{-1, math.Inf(1), 1e5, 700, 100, 99, 3, 1, 1e-3, 1e-9} {
		pace := Pace{Rate: rate}
		p := pacer{interval: pace.interval(), burst: 5}
		n := 0
		for p.wait(time.Now()) <= 0 && n < 1000 {
			p.take()
			n++
		}
		if unbounded := pace.interval() == 0; unbounded && n < 1000 || !unbounded && n < 5 && rate > 1e-8 {
			t.Errorf("rate %v: %d at once", rate, n)
		}
	}
}

// In a bubble the machine is fast enough for any rate.
func TestAHighRateIsReachedWithManySlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots, rate = 20000, 20000
		d := newFakeDialer(func(context.Context, string, int) (net.Conn, error) {
			time.Sleep(2 * time.Millisecond)
			return nil, errRefused
		})
		_, shutDown := startInBubble(t, Options{Targets: d.targets("a"), Size: slots, Pace: Pace{Rate: rate}, Backoff: Backoff{Base: time.Hour}})
		defer shutDown()
		time.Sleep(500 * time.Millisecond)
		if n := len(d.times()); n < rate/2*97/100 || n > rate/2*103/100 {
			t.Errorf("%d attempts in half a second", n)
		}
	})
}

func TestAttemptsBeginAtTheRate(t *testing.T) {
	for _, test := range []struct {
		rate  float64
		burst int
	}{{10, 1}, {10, 5}, {0.5, 1}, {1000, 50}} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const slots = 40
				d := newFakeDialer(func(context.Context, string, int) (net.Conn, error) { return servePipe(ignoreAll), nil })
				g, shutDown := startInBubble(t, Options{Targets: d.targets("a"), Size: slots, Pace: Pace{Rate: test.rate, Burst: test.burst}, Ping: -1})
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

func TestConcurrentAttemptsAreLimitedPerHostAndInTotal(t *testing.T) {
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
				b := &countingDialer{connecting: map[string]int{}, most: map[string]int{}}
				d := newFakeDialer(b.dial)
				test.pace.Rate = -1
				g, shutDown := startInBubble(t, Options{Targets: d.targets("a", "b", "c"), Size: 30, Pace: test.pace, Ping: -1})
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

func TestASilentHostDoesNotDelayAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDialer(func(ctx context.Context, addr string, _ int) (net.Conn, error) {
			if addr == "dead:80" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return servePipe(ignoreAll), nil
		})
		g, shutDown := startInBubble(t, Options{Targets: d.targets("dead", "alive"), Size: 1000, Pace: Pace{Rate: 100}, Ping: -1})
		defer shutDown()
		if err := g.WaitUp(t.Context(), 500); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(d.began); took > 6*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestManySilentHostsDoNotDelayAnother(t *testing.T) {
	for _, each := range []int{1, 100} { // slots
		synctest.Test(t, func(t *testing.T) {
			hosts := make([]string, 65)
			for i := range hosts {
				hosts[i] = fmt.Sprint("dead", i)
			}
			hosts[64] = "alive"
			d := newFakeDialer(func(ctx context.Context, addr string, _ int) (net.Conn, error) {
				if strings.HasPrefix(addr, "dead") {
					return dialSilent(ctx)
				}
				return servePipe(ignoreAll), nil
			})
			g, shutDown := startInBubble(t, Options{Targets: d.targets(hosts...), Size: 65 * each, Pace: Pace{Rate: -1}, Ping: -1})
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

func TestASlowHostIsDialedConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDialer(func(context.Context, string, int) (net.Conn, error) {
			time.Sleep(1500 * time.Millisecond)
			return servePipe(ignoreAll), nil
		})
		g, shutDown := startInBubble(t, Options{Targets: d.targets("a"), Size: 640, Pace: Pace{Rate: -1}, Ping: -1})
		defer shutDown()
		g.WaitUp(t.Context(), 640)
		if took := time.Since(d.began); took > 30*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestAFailedOnConnectDoesNotDelayOtherSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDialer(func(context.Context, string, int) (net.Conn, error) { return servePipe(ignoreAll), nil })
		const slots = 50
		g, shutDown := startInBubble(t, Options{
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

func TestASilentHostThatDelaysDialingIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDialer(func(ctx context.Context, _ string, _ int) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		lines := newLogLines(slog.LevelInfo)
		_, shutDown := startInBubble(t, Options{Targets: d.targets("a"), Size: 20, Pace: Pace{Rate: 5}, Logger: slog.New(lines)})
		defer shutDown()
		time.Sleep(4 * time.Second)
		if got := lines.with("limit=silent host waiting="); len(got) != 1 {
			t.Errorf("%q, of %q", got, lines.with("slots wait"))
		}
	})
}

func TestTheLimitThatDelaysDialingIsLogged(t *testing.T) {
	for want, pace := range map[string]Pace{
		"Pace.Rate":       {Rate: 10},
		"Pace.PerHost":    {Rate: -1, PerHost: 1},
		"Pace.Handshakes": {Rate: -1, PerHost: -1, Handshakes: 2},
		"":                {Rate: -1},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newFakeDialer(func(context.Context, string, int) (net.Conn, error) {
				time.Sleep(100 * time.Millisecond)
				return servePipe(ignoreAll), nil
			})
			lines := newLogLines(slog.LevelInfo)
			g, shutDown := startInBubble(t, Options{Targets: d.targets("a"), Size: 60, Pace: pace, Ping: -1, Logger: slog.New(lines)})
			defer shutDown()
			g.WaitUp(t.Context(), 60)
			got := lines.with("slots wait to be dialed")
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
