package fanout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
)

// startLosing starts a Group whose slots are all up, and whose connections end as after says when end
// is closed. Those that come later stay.
func startLosing(t *testing.T, o Options, after func(n int) func(net.Conn)) (g *Group, end chan struct{}, shutDown func()) {
	end = make(chan struct{})
	d := newFakeDialer(func(_ context.Context, _ string, n int) (net.Conn, error) {
		if n >= o.Size {
			return servePipe(ignoreAll), nil
		}
		return servePipe(func(conn net.Conn) {
			<-end
			after(n)(conn)
		}), nil
	})
	o.Targets, o.Ping, o.Pace.Rate = d.targets("a"), -1, -1
	g, shutDown = startInBubble(t, o)
	if err := g.WaitUp(t.Context(), o.Size); err != nil {
		t.Fatal(err)
	}
	synctest.Wait() // the attempts have ended, too: each counts as a connection that is back
	return g, end, shutDown
}

func TestLossesOfAHostAreLoggedTogether(t *testing.T) {
	restart := closeAfter(websock.CloseServiceRestart, 0)
	for name, test := range map[string]struct {
		after   func(n int) func(net.Conn)
		backoff Backoff
		want    []string
		reason  string
	}{
		"a restart": {
			after:  func(int) func(net.Conn) { return restart },
			want:   []string{"connections were lost host=a:80 lost=200 missing=200 error=", "connections are back host=a:80 lost=200"},
			reason: "1012",
		},
		"most of them a restart": {
			after: func(n int) func(net.Conn) {
				if n%3 == 0 {
					return cutAfter(0)
				}
				return restart
			},
			backoff: Backoff{Base: time.Minute, Max: time.Minute},
			want:    []string{"connections were lost host=a:80 lost=200 missing=", "connections are back host=a:80 lost=200"},
			reason:  "1012",
		},
		"all back within a second": {
			after:   func(int) func(net.Conn) { return cutAfter(0) },
			backoff: Backoff{Base: -1, Max: -1},
			want:    []string{"connections were lost host=a:80 lost=200 missing=0 error="},
			reason:  "1006",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lines := newLogLines(slog.LevelInfo)
				g, end, shutDown := startLosing(t, Options{Size: 200, Backoff: test.backoff, Logger: slog.New(lines)}, test.after)
				defer shutDown()
				close(end)
				time.Sleep(10 * time.Minute)
				all := lines.with("connections")
				if len(all) != len(test.want) || !strings.Contains(all[0], test.reason) {
					t.Fatalf("%q", all)
				}
				for i, want := range test.want {
					if !strings.HasPrefix(all[i], want) {
						t.Errorf("%q, want %q", all[i], want)
					}
				}
				g.dials.mu.Lock()
				defer g.dials.mu.Unlock()
				if len(g.dials.hosts)+len(g.dials.losing) > 0 {
					t.Errorf("%v, %v are still remembered", g.dials.hosts, g.dials.losing)
				}
			})
		})
	}
}

func TestASingleLossIsNotLoggedAboveDebug(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := newLogLines(slog.LevelInfo)
		g, end, shutDown := startLosing(t, Options{Size: 3, Logger: slog.New(lines)}, func(n int) func(net.Conn) {
			return cutAfter(time.Duration(n) * time.Minute)
		})
		defer shutDown()
		close(end)
		time.Sleep(time.Hour)
		if lost, all := totalLost(g.Stats()), lines.with(""); lost != 3 || len(all) > 0 {
			t.Errorf("%d were lost; logged: %q", lost, all)
		}
	})
}

func TestPingsThatTimeOutAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots = 400 // so many that one is hardly ever the only one of its second, in which case it isn't logged
		d := newFakeDialer(func(_ context.Context, _ string, n int) (net.Conn, error) {
			return servePipe(ignoreAll), nil
		})
		lines := newLogLines(slog.LevelInfo)
		g, shutDown := startInBubble(t, Options{
			Targets: d.targets("a"), Size: slots, Ping: time.Minute, PingTimeout: 10 * time.Second, Logger: slog.New(lines), Pace: Pace{Rate: -1},
			OnDown: func(s *Slot, err error, _ time.Duration) {
				if ReasonOf(err) == ConnectionLost {
					s.Stop()
				}
			},
		})
		defer shutDown()
		time.Sleep(time.Hour)
		total := 0
		all := lines.with("connections were lost host=a:80")
		for _, line := range all {
			var lost int
			fmt.Sscanf(line, "connections were lost host=a:80 lost=%d", &lost)
			total += lost
			if !strings.Contains(line, websock.ErrIdle.Error()) {
				t.Errorf("%q", line)
			}
		}
		if lost := totalLost(g.Stats()); lost != slots || total < slots-1 || len(all) > 6 {
			t.Errorf("%d were lost, says Stats: %q", lost, all)
		}
	})
}

func TestLossesThatGoOnAreLoggedLessAndLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDialer(func(context.Context, string, int) (net.Conn, error) { return servePipe(cutAfter(time.Second)), nil })
		lines := newLogLines(slog.LevelInfo)
		g, shutDown := startInBubble(t, Options{
			Targets: d.targets("a", "b"), Size: 20, Ping: -1, Pace: Pace{Rate: -1}, Backoff: Backoff{Base: -1, Max: -1}, Logger: slog.New(lines),
		})
		defer shutDown()
		time.Sleep(10*time.Minute + 4*time.Second)
		for _, host := range []string{"a:80", "b:80"} {
			// 1 + 2 + 4 + 8 + 16 + 32 s, and then each minute
			if all := lines.with("connections were lost host=" + host); len(all) < 14 || len(all) > 15 {
				t.Errorf("%d lines for %s, with %d losses: %q", len(all), host, totalLost(g.Stats()), all)
			}
		}
	})
}

func TestALoggerMayCallTheGroupWhenConnectionsWereLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group atomic.Pointer[Group]
		var calls atomic.Int32
		hook := &logHook{slog.DiscardHandler, func(message string) {
			if message == "connections were lost" || message == "connections are back" {
				calls.Add(1)
				group.Load().SetRate(-1)
				group.Load().Stats()
			}
		}}
		g, end, shutDown := startLosing(t, Options{Size: 5, Logger: slog.New(hook)}, func(int) func(net.Conn) {
			return closeAfter(websock.CloseServiceRestart, 0)
		})
		defer shutDown()
		group.Store(g)
		close(end)
		time.Sleep(time.Minute)
		if calls := calls.Load(); calls != 2 {
			t.Errorf("%d lines, want 2", calls)
		}
	})
}

func TestTheCloseCodeOfMostLossesIsLogged(t *testing.T) {
	var l losses
	l.begin(time.Now())
	for _, code := range []websock.CloseCode{1006, 1012, 1006, 1012, 4000, 1012, 1012} {
		l.add(&websock.CloseError{Code: code})
	}
	var closed *websock.CloseError
	if !errors.As(l.err, &closed) || closed.Code != 1012 || l.lost != 7 {
		t.Errorf("%d lost, most of them with %v", l.lost, l.err)
	}
}

// A slot whose credentials are refused has a line of its own.
func TestRefusedCredentialsAreTheHostsFailureOnlyIfTheSlotGoesOn(t *testing.T) {
	for name, test := range map[string]struct {
		status    int
		permanent func(error) bool // nil: the default
		want      []string
	}{
		"401, the slots stop":            {401, nil, nil},
		"403, the slots stop":            {403, nil, nil},
		"403, the slots go on":           {403, func(error) bool { return false }, []string{"failures=1 ", "failures=2 ", "failures=4 "}},
		"404, which others get, too":     {404, nil, []string{"failures=1 ", "failures=2 ", "failures=4 "}},
		"503, which says nothing of one": {503, nil, []string{"failures=1 ", "failures=2 ", "failures=4 "}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newFakeDialer(func(_ context.Context, _ string, n int) (net.Conn, error) {
					if n < 5 {
						return replyPipe(fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", test.status, http.StatusText(test.status))), nil
					}
					return servePipe(ignoreAll), nil
				})
				lines := newLogLines(slog.LevelInfo)
				g, shutDown := startInBubble(t, Options{
					Targets: d.targets("a"), Size: 50, Ping: -1, Permanent: test.permanent, Pace: Pace{Rate: 10, Burst: 1}, Logger: slog.New(lines),
				})
				defer shutDown()
				g.Wait(t.Context())
				time.Sleep(time.Minute)
				failures := lines.with("can't connect url=ws://a:80 ")
				if len(failures) != len(test.want) {
					t.Fatalf("%q, want %q", failures, test.want)
				}
				for i, want := range test.want {
					if !strings.Contains(failures[i], want) {
						t.Errorf("%q, want %q", failures[i], want)
					}
				}
				if again := lines.with("connected again"); (len(again) > 0) != (len(test.want) > 0) {
					t.Errorf("%q", again)
				}
				if stopped := lines.with("the slot has stopped"); len(stopped) != g.Count(Stopped) {
					t.Errorf("%d have stopped: %q", g.Count(Stopped), stopped)
				}
			})
		})
	}
}
