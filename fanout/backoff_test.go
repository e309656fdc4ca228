package fanout

import (
	"context"
	"log/slog"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
)

func TestDelaysAreRandomAndTheirBoundDoubles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDialer(func(context.Context, string, int) (net.Conn, error) { return nil, errRefused })
		_, shutDown := startInBubble(t, Options{Targets: d.targets("a"), Backoff: Backoff{Base: time.Second, Max: time.Minute}})
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

func TestRetryAfterAndCloseCodesDetermineTheDelay(t *testing.T) {
	tests := map[string]struct {
		conn        func() net.Conn
		least, most time.Duration
	}{
		"Retry-After in seconds": {
			func() net.Conn { return replyPipe("HTTP/1.1 503 Busy\r\nRetry-After: 90\r\nContent-Length: 0\r\n\r\n") },
			90 * time.Second, 91 * time.Second,
		},
		"Retry-After as a date": {
			func() net.Conn {
				date := time.Now().Add(2 * time.Minute).UTC().Format(http.TimeFormat)
				return replyPipe("HTTP/1.1 429 Slow\r\nRetry-After: " + date + "\r\nContent-Length: 0\r\n\r\n")
			},
			119 * time.Second, 122 * time.Second,
		},
		"Retry-After of years": {
			func() net.Conn {
				return replyPipe("HTTP/1.1 503 Busy\r\nRetry-After: 999999999\r\nContent-Length: 0\r\n\r\n")
			},
			time.Hour, time.Hour + time.Second,
		},
		"Retry-After above 2^32": {
			func() net.Conn {
				return replyPipe("HTTP/1.1 503 Busy\r\nRetry-After: 4294967296\r\nContent-Length: 0\r\n\r\n")
			},
			time.Hour, time.Hour + time.Second,
		},
		"Retry-After above 2^64": {
			func() net.Conn {
				return replyPipe("HTTP/1.1 429 Slow\r\nRetry-After: 99999999999999999999999\r\nContent-Length: 0\r\n\r\n")
			},
			time.Hour, time.Hour + time.Second,
		},
		"a negative Retry-After": {
			func() net.Conn { return replyPipe("HTTP/1.1 503 Busy\r\nRetry-After: -5\r\nContent-Length: 0\r\n\r\n") },
			0, time.Second,
		},
		"Retry-After that is none": {
			func() net.Conn {
				return replyPipe("HTTP/1.1 503 Busy\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n")
			},
			0, time.Second,
		},
		"1012": {func() net.Conn { return servePipe(closeAfter(websock.CloseServiceRestart, 0)) }, 5 * time.Second, 30 * time.Second},
		"1013": {func() net.Conn { return servePipe(closeAfter(websock.CloseTryAgainLater, 0)) }, 30 * time.Second, time.Minute},
		"1000": {func() net.Conn { return servePipe(closeAfter(websock.CloseNormal, 0)) }, 0, time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				synctest.Test(t, func(t *testing.T) {
					d := newFakeDialer(func(_ context.Context, _ string, n int) (net.Conn, error) {
						if n == 0 {
							return test.conn(), nil
						}
						return servePipe(ignoreAll), nil
					})
					next := make(chan time.Duration, 1)
					g, shutDown := startInBubble(t, Options{
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
					go func() { <-next }() // OnDown is also called by Shutdown
				})
			}
		})
	}
}

func TestTheApplicationKnowsForHowLongTheServerAsks(t *testing.T) {
	for name, test := range map[string]struct {
		conn        func() net.Conn
		asked       time.Duration
		least, most time.Duration
	}{
		"a close code of its own":   {func() net.Conn { return servePipe(closeAfter(4001, 0)) }, 90 * time.Second, 90 * time.Second, 91 * time.Second},
		"nothing":                   {func() net.Conn { return servePipe(closeAfter(4001, 0)) }, 0, 0, time.Second},
		"less than nothing":         {func() net.Conn { return servePipe(closeAfter(4001, 0)) }, -time.Hour, 0, time.Second},
		"less than close code 1013": {func() net.Conn { return servePipe(closeAfter(websock.CloseTryAgainLater, 0)) }, time.Second, 30 * time.Second, time.Minute},
		"more than Retry-After": {
			func() net.Conn { return replyPipe("HTTP/1.1 503 Busy\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n") },
			time.Minute, time.Minute, 61 * time.Second,
		},
		"longer than any program runs": {func() net.Conn { return servePipe(closeAfter(4001, 0)) }, math.MaxInt64, forever, forever + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newFakeDialer(func(context.Context, string, int) (net.Conn, error) { return test.conn(), nil })
				type down struct {
					err  error
					next time.Duration
				}
				downs := make(chan down, 100)
				var asked atomic.Value
				_, shutDown := startInBubble(t, Options{
					Targets:    d.targets("a"),
					Backoff:    Backoff{Base: time.Second, Max: time.Minute},
					RetryAfter: func(err error) time.Duration { asked.Store(err); return test.asked },
					OnDown:     func(_ *Slot, err error, next time.Duration) { downs <- down{err, next} },
				})
				defer shutDown()
				first := <-downs
				if first.next < test.least || first.next > test.most || asked.Load() != first.err {
					t.Errorf("%v until the next attempt, want %v to %v; asked about %v, down with %v",
						first.next, test.least, test.most, asked.Load(), first.err)
				}
			})
		})
	}
}

func TestRetryAfterAppliesToAllSlotsOfTheHost(t *testing.T) {
	for _, status := range []string{"429 Slow", "503 Busy"} {
		synctest.Test(t, func(t *testing.T) {
			const slots = 200
			var mu sync.Mutex
			attempts := map[string][]time.Duration{}
			began := time.Now()
			d := newFakeDialer(func(_ context.Context, addr string, _ int) (net.Conn, error) {
				mu.Lock()
				defer mu.Unlock()
				at := time.Since(began)
				attempts[addr] = append(attempts[addr], at)
				if addr == "busy:80" && at < 10*time.Second {
					return replyPipe("HTTP/1.1 " + status + "\r\nRetry-After: 10\r\nContent-Length: 0\r\n\r\n"), nil
				}
				return servePipe(ignoreAll), nil
			})
			g, shutDown := startInBubble(t, Options{Targets: d.targets("busy", "other"), Size: 2 * slots, Ping: -1, Pace: Pace{Rate: 100}})
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

func TestRetryAfterIsRememberedWhileNoSlotWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDialer(func(_ context.Context, _ string, n int) (net.Conn, error) {
			if n == 0 {
				return replyPipe("HTTP/1.1 503 Busy\r\nRetry-After: 10\r\nContent-Length: 0\r\n\r\n"), nil
			}
			return servePipe(ignoreAll), nil
		})
		choose := func(s *Slot) Target {
			time.Sleep(time.Duration(s.Number()) * time.Second) // the other slot is dialed later
			return d.targets("a")[0]
		}
		g, shutDown := startInBubble(t, Options{Choose: choose, Size: 2, Ping: -1})
		defer shutDown()
		g.WaitUp(t.Context(), 2)
		if times := d.times(); times[1] < 10*time.Second {
			t.Errorf("attempts at %v", times)
		}
	})
}

func TestRetryEndsTheRetryAfterOfItsHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDialer(func(_ context.Context, _ string, n int) (net.Conn, error) {
			if n == 0 {
				return replyPipe("HTTP/1.1 503 Busy\r\nRetry-After: 1000\r\nContent-Length: 0\r\n\r\n"), nil
			}
			return servePipe(ignoreAll), nil
		})
		g, shutDown := startInBubble(t, Options{Targets: d.targets("a"), Size: 2, Ping: -1})
		defer shutDown()
		time.Sleep(time.Second)
		g.Slot(1).Retry() // it waits with Slot(0) for the end of Retry-After
		time.Sleep(time.Second)
		if state := g.Slot(1).State(); state != Up {
			t.Errorf("%v after Retry", state)
		}
	})
}

func TestRetryDialsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDialer(func(_ context.Context, _ string, n int) (net.Conn, error) {
			if n == 0 {
				return replyPipe("HTTP/1.1 503 Busy\r\nRetry-After: 1000\r\nContent-Length: 0\r\n\r\n"), nil
			}
			if n == 1 {
				return replyPipe("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"), nil
			}
			return servePipe(ignoreAll), nil
		})
		g, shutDown := startInBubble(t, Options{Targets: d.targets("a"), Ping: -1})
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

func TestRetryWithinOnDownDialsAgain(t *testing.T) {
	url := statusServer(t, 403, nil)
	var downs atomic.Int32
	startGroup(t, Options{
		Targets: targetsFor(nil, url),
		OnDown: func(s *Slot, _ error, next time.Duration) {
			if next >= 0 {
				t.Error("a 403 doesn't stop the slot")
			}
			if downs.Add(1) < 5 {
				s.Retry()
			}
		},
	})
	waitUntil(t, "five attempts", func() bool { return downs.Load() == 5 })
}

func TestLossesThatEndARowOfFailures(t *testing.T) {
	const second = time.Second
	for name, test := range map[string]struct {
		peer func(net.Conn)
		want int // failures in a row after the loss, three attempts having failed before
	}{
		"1000":                  {closeAfter(websock.CloseNormal, second), 1},
		"1001":                  {closeAfter(websock.CloseGoingAway, second), 1},
		"1012":                  {closeAfter(websock.CloseServiceRestart, second), 1},
		"1011":                  {closeAfter(websock.CloseInternalError, second), 4},
		"1013":                  {closeAfter(websock.CloseTryAgainLater, second), 4},
		"cut":                   {cutAfter(second), 4},
		"1011 after a minute":   {closeAfter(websock.CloseInternalError, time.Minute), 1},
		"cut after a minute":    {cutAfter(time.Minute), 1},
		"1011 after a message":  {sendThenClose(websock.CloseInternalError, second), 1},
		"4000 after a message":  {sendThenClose(4000, second), 1},
		"1001 after no seconds": {closeAfter(websock.CloseGoingAway, 0), 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newFakeDialer(func(_ context.Context, _ string, n int) (net.Conn, error) {
					switch {
					case n < 3:
						return nil, errRefused
					case n == 3:
						return servePipe(test.peer), nil
					}
					return servePipe(ignoreAll), nil
				})
				var failures []int
				g, shutDown := startInBubble(t, Options{
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

// Some exchanges close each connection after a few seconds.
func TestSlotsStayUpThoughTheServerClosesConnectionsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots = 300
		d := newFakeDialer(func(_ context.Context, _ string, n int) (net.Conn, error) {
			return servePipe(closeAfter(websock.CloseGoingAway, 5*time.Second+time.Duration(n%100)*100*time.Millisecond)), nil
		})
		g, shutDown := startInBubble(t, Options{Targets: d.targets("a"), Size: slots, Ping: -1, Pace: Pace{Rate: -1}})
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

func TestDelayIsThatOfASlot(t *testing.T) {
	refused := &websock.HandshakeError{Status: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"90"}}}
	closed := func(code websock.CloseCode) error { return &websock.CloseError{Code: code} }
	for _, test := range []struct {
		backoff     Backoff
		failures    int
		err         error
		least, most time.Duration
	}{
		{Backoff{}, 1, errRefused, 0, DefaultBackoffBase},
		{Backoff{}, 3, errRefused, 0, 4 * DefaultBackoffBase},
		{Backoff{}, math.MaxInt, errRefused, 0, DefaultBackoffMax},
		{Backoff{Base: time.Hour}, -1, errRefused, 0, time.Hour},
		{Backoff{Base: -1}, 1, errRefused, 0, 0},
		{Backoff{}, 1, refused, 90 * time.Second, 90*time.Second + DefaultBackoffBase},
		{Backoff{}, 1, closed(websock.CloseServiceRestart), DefaultRestartMin, DefaultRestartMax},
		{Backoff{}, 1, closed(websock.CloseTryAgainLater), DefaultBackoffMax / 2, DefaultBackoffMax},
	} {
		var longest time.Duration
		for range 100 {
			d := test.backoff.Delay(test.failures, test.err)
			if d < test.least || d > test.most {
				t.Fatalf("%+v: %v", test, d)
			}
			longest = max(longest, d)
		}
		if longest < (test.least+test.most)/2 {
			t.Errorf("%+v: at most %v", test, longest)
		}
	}
}

func TestAConnectionThatWasUpResetsTheBackoff(t *testing.T) {
	lost := &websock.CloseError{Code: websock.CloseAbnormal}
	for _, test := range []struct {
		backoff  Backoff
		err      error
		received uint64
		up       time.Duration
		want     bool
	}{
		{Backoff{}, lost, 0, DefaultStable - 1, false},
		{Backoff{}, lost, 0, DefaultStable, true},
		{Backoff{}, lost, 1, 0, true},
		{Backoff{Stable: time.Hour}, lost, 0, time.Minute, false},
		{Backoff{}, &websock.CloseError{Code: websock.CloseGoingAway}, 0, 0, true},
	} {
		if got := test.backoff.Resets(test.err, test.received, test.up); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

func TestNegativeAndHugeBackoffs(t *testing.T) {
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
				d := newFakeDialer(func(context.Context, string, int) (net.Conn, error) { return nil, errRefused })
				_, shutDown := startInBubble(t, Options{Targets: d.targets("a"), Backoff: test.backoff})
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

func TestFailuresOfAHostAreLoggedAtEachDoubling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const failing = 100
		d := newFakeDialer(func(_ context.Context, _ string, n int) (net.Conn, error) {
			if n < failing {
				return nil, errRefused
			}
			return servePipe(ignoreAll), nil
		})
		lines := newLogLines(slog.LevelInfo)
		targets := d.targets("feed.example")
		targets[0] = Target{URL: "ws://feed.example/v1?token=secret", Config: targets[0].Config}
		targets[0].Config.Host = ""
		g, shutDown := startInBubble(t, Options{Targets: targets, Size: 10, Ping: -1, Logger: slog.New(lines)})
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

// A host is remembered although, with one slot, no attempt waits for it or connects to it meanwhile.
func TestFailuresOfAHostWithOneSlotAreCounted(t *testing.T) {
	for name, onConnect := range map[string]func(context.Context, *Slot, *websock.Conn) error{
		"no connection":   nil,
		"OnConnect fails": func(context.Context, *Slot, *websock.Conn) error { return errRefused },
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newFakeDialer(func(context.Context, string, int) (net.Conn, error) {
				if onConnect == nil {
					return nil, errRefused
				}
				return servePipe(ignoreAll), nil
			})
			lines := newLogLines(slog.LevelInfo)
			g, shutDown := startInBubble(t, Options{
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
