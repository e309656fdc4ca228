package fanout

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
)

// A phaseLab is a Group whose slots can be brought into each phase, in a bubble of testing/synctest.
type phaseLab struct {
	t              *testing.T
	server         *keyServer
	gates          gates // "Choose KEY", "OnDown KEY" and so on
	group          *Group
	fails, refuses atomic.Bool // attempts fail for good; OnConnect fails
}

func newPhaseLab(t *testing.T, o Options) *phaseLab {
	l := &phaseLab{t: t, server: newKeyServer(t)}
	orders := func(s *Slot) *callOrder { return s.Value().(*callOrder) }
	o.Size, o.Ping = -1, -1
	o.Choose = func(s *Slot) Target {
		defer orders(s).enter("Choose", "", "OnDown", "Choose")()
		l.pass(context.Background(), "Choose", s)
		return l.server.target(s.Key())
	}
	o.Prepare = func(ctx context.Context, s *Slot, _ *Target) error {
		defer orders(s).enter("Prepare", "Choose")()
		return l.pass(ctx, "Prepare", s)
	}
	o.OnConnect = func(ctx context.Context, s *Slot, c *websock.Conn) error {
		defer orders(s).enter("OnConnect", "Prepare")()
		if l.refuses.Load() {
			return errors.New("no")
		}
		return l.pass(ctx, "OnConnect", s)
	}
	o.OnDown = func(s *Slot, err error, next time.Duration) {
		defer orders(s).enter("OnDown", "Prepare", "OnConnect")()
		l.pass(context.Background(), "OnDown", s)
	}
	o.OnUnsent = func(s *Slot, _ int, err error) { l.pass(context.Background(), "OnUnsent", s) }
	o.Permanent = func(error) bool { return l.fails.Load() }
	var err error
	if l.group, err = Start(o); err != nil {
		t.Fatal(err)
	}
	return l
}

// pass is called by a function of Options for a slot.
func (l *phaseLab) pass(ctx context.Context, function string, s *Slot) error {
	if s.Context().Err() != nil {
		l.t.Errorf("%s is called although the slot has ended", function)
	}
	defer func() {
		if s.Context().Err() != nil && !l.group.over() {
			l.t.Errorf("the slot has ended before %s returned", function)
		}
	}()
	return l.gates.pass(ctx, function+" "+s.Key())
}

func (l *phaseLab) add(key string) *Slot {
	s, err := l.group.Add(key, SlotOptions{Value: &callOrder{t: l.t}})
	if err != nil {
		l.t.Fatal(err)
	}
	return s
}

// refuse has all attempts fail.
func (l *phaseLab) refuse() {
	l.server.use(func(context.Context, func()) (net.Conn, error) { return nil, errRefused })
}

// enterPhase brings a slot with the key "a" into a phase. Then everything works again.
var enterPhase = map[phase]func(l *phaseLab) *Slot{
	delayed: func(l *phaseLab) *Slot {
		l.refuse()
		return l.add("a")
	},
	blocked: func(l *phaseLab) *Slot {
		l.server.use(ignoring)
		before := l.add("a")
		synctest.Wait()
		before.Remove()
		return l.add("a")
	},
	enlisted: func(l *phaseLab) *Slot {
		l.gates.close("Choose b")
		l.add("b")
		synctest.Wait()
		return l.add("a")
	},
	choosing: func(l *phaseLab) *Slot {
		l.gates.close("Choose a")
		return l.add("a")
	},
	queued: func(l *phaseLab) *Slot {
		l.group.SetRate(1e-6)
		l.add("b")
		synctest.Wait()
		return l.add("a")
	},
	connecting: func(l *phaseLab) *Slot {
		l.gates.close("Prepare a")
		return l.add("a")
	},
	up: func(l *phaseLab) *Slot { return l.add("a") },
	notifying: func(l *phaseLab) *Slot {
		l.refuse()
		l.gates.close("OnDown a")
		return l.add("a")
	},
	stopped: func(l *phaseLab) *Slot {
		l.refuse()
		l.fails.Store(true)
		return l.add("a")
	},
}

// waysToConnect are more ways into the phase connecting.
var waysToConnect = map[string]func(l *phaseLab) *Slot{
	"dialing": func(l *phaseLab) *Slot {
		l.server.use(func(ctx context.Context, _ func()) (net.Conn, error) { return dialSilent(ctx) })
		return l.add("a")
	},
	"in the handshake": func(l *phaseLab) *Slot {
		l.server.use(func(context.Context, func()) (net.Conn, error) {
			client, server := net.Pipe()
			go ignoreAll(server)
			return client, nil
		})
		return l.add("a")
	},
	"in OnConnect": func(l *phaseLab) *Slot {
		l.gates.close("OnConnect a")
		return l.add("a")
	},
	"closing after OnConnect has failed": func(l *phaseLab) *Slot {
		l.server.use(ignoring)
		l.refuses.Store(true)
		return l.add("a")
	},
}

// An outcome is what has become of a slot in the end.
type outcome int

const (
	isUp outcome = iota
	isStopped
	hasEnded
	isClosed // with the Group
)

// requests are what can be asked of a slot, one thing after another, and what becomes of it.
var requests = map[string]outcome{
	"Retry":                           isUp,
	"Resume Retry":                    isUp,
	"Reconnect":                       isUp,
	"Reconnect Reconnect Retry":       isUp,
	"Stop":                            isStopped,
	"Stop Stop Retry Reconnect":       isStopped,
	"Reconnect Stop":                  isStopped,
	"Stop Resume":                     isUp,
	"Stop Resume Reconnect":           isUp,
	"Stop Resume Stop":                isStopped,
	"Stop Resume Stop Resume":         isUp,
	"Stop wait Resume":                isUp,
	"Remove":                          hasEnded,
	"Abort":                           hasEnded,
	"Remove Abort":                    hasEnded,
	"Stop Abort":                      hasEnded,
	"Reconnect Remove Remove":         hasEnded,
	"Stop wait Remove":                hasEnded,
	"Remove Retry Resume Reconnect":   hasEnded,
	"Remove Add":                      hasEnded,
	"Abort Add":                       hasEnded,
	"Remove Add Remove Add":           hasEnded,
	"Remove wait Add":                 hasEnded,
	"Shutdown":                        isClosed,
	"Stop Shutdown":                   isClosed,
	"Stop Resume Shutdown":            isClosed,
	"Reconnect Shutdown Resume Retry": isClosed,
	"Remove Shutdown":                 hasEnded,
	"Abort Shutdown":                  hasEnded,
	"Shutdown wait Remove":            isClosed,
}

// ask does to a slot what a string of requests says.
func (l *phaseLab) ask(s *Slot, what string) {
	for request := range strings.FieldsSeq(what) {
		switch request {
		case "Retry":
			s.Retry()
		case "Reconnect":
			s.Reconnect()
		case "Stop":
			s.Stop()
		case "Resume":
			s.Resume()
		case "Abort":
			s.Abort()
		case "Remove":
			if now := l.group.Find("a"); now != nil {
				now.Remove()
			}
			s.Remove()
		case "Add":
			l.add("a")
		case "Shutdown":
			go l.group.Shutdown(context.Background())
			synctest.Wait()
		case "wait":
			synctest.Wait()
		}
	}
}

// check asserts what has become of the slot, and that the Group's counts tell of all slots.
func (l *phaseLab) check(s *Slot, want outcome) {
	l.t.Helper()
	now := l.group.Find("a")
	cause := context.Cause(s.Context())
	ok := false
	switch want {
	case isUp:
		ok = s.State() == Up && s.SendText(nil) == nil && now == s && cause == nil
	case isStopped:
		ok = s.State() == Stopped && s.SendText(nil) == ErrDown && now == s && cause == nil
	case hasEnded:
		ok = s.State() == Stopped && now != s && cause == ErrRemoved && (now == nil || now.State() == Up || l.group.closing())
	case isClosed:
		ok = s.State() == Stopped && s.SendText(nil) == ErrClosed && (cause == ErrClosed || now == nil && cause == ErrRemoved)
	}
	if !ok {
		l.t.Errorf("%v, phase %d with intent %d, its context has ended with %v, the key has %v", s.State(), s.phase, s.intent, cause, now)
	}
	stats := l.group.Stats()
	if n := stats.Waiting + stats.Connecting + stats.Up + stats.Stopped; n != l.group.Len() || stats.Ending != 0 || stats.Up != l.server.count() || len(l.group.members.ending) != 0 {
		l.t.Errorf("%d slots, %d connections, %d end: %+v", l.group.Len(), l.server.count(), len(l.group.members.ending), stats)
	}
	failed := uint64(0)
	for _, n := range stats.Failed {
		failed += n
	}
	if stats.Attempts != stats.Ready+failed || stats.Ready != uint64(stats.Up)+totalLost(stats) {
		l.t.Errorf("the counts don't add up: %+v", stats)
	}
}

// run asks a slot for something when enter has brought it into a phase, and checks what becomes of it.
func (l *phaseLab) run(enter func(*phaseLab) *Slot, in phase, ask string, want outcome) {
	s := enter(l)
	s.Context()
	synctest.Wait()
	if s.phase != in {
		l.t.Fatalf("the slot is in phase %d, want %d", s.phase, in)
	}
	l.fails.Store(false)
	l.refuses.Store(false)
	if in != blocked { // whose connection before is answered by nobody
		l.server.use(accepting)
	}
	l.ask(s, ask)
	synctest.Wait()
	l.gates.open()
	l.server.use(accepting)
	l.group.SetRate(-1)
	time.Sleep(2 * time.Hour)
	synctest.Wait()
	l.check(s, want)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := l.group.Shutdown(ctx); err != nil {
		l.t.Error(err)
	}
	synctest.Wait()
	if n := l.server.count(); n > 0 {
		l.t.Errorf("%d connections after Shutdown", n)
	}
}

// Also if the slot keeps messages.
func TestSendsAreRefusedAfterStopAndRemove(t *testing.T) {
	options := Options{Pace: Pace{Rate: -1, Burst: 1}, Backoff: Backoff{Base: time.Hour, Max: time.Hour}, SendBuffer: 1000}
	check := func(t *testing.T, name string, enter func(*phaseLab) *Slot) {
		synctest.Test(t, func(t *testing.T) {
			l := newPhaseLab(t, options)
			s := enter(l)
			synctest.Wait()
			s.Stop()
			stopped := s.SendText(nil)
			s.Remove()
			removed := s.SendText(nil)
			if stopped != ErrDown || removed != ErrRemoved {
				t.Errorf("%s: after Stop %v, after Remove %v", name, stopped, removed)
			}
			l.gates.open()
			time.Sleep(time.Hour)
			if err := l.group.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	for in, enter := range enterPhase {
		check(t, fmt.Sprint("phase ", in), enter)
	}
	for name, enter := range waysToConnect {
		check(t, name, enter)
	}
}

func TestEveryRequestInEveryPhase(t *testing.T) {
	options := Options{Pace: Pace{Rate: -1, Burst: 1}, Backoff: Backoff{Base: time.Hour, Max: time.Hour}}
	for ask, want := range requests {
		t.Run(ask, func(t *testing.T) {
			for in, enter := range enterPhase {
				if in == stopped && ask == "Shutdown" {
					continue // nothing
				}
				synctest.Test(t, func(t *testing.T) {
					defer func() {
						if t.Failed() {
							t.Logf("in phase %d", in)
						}
					}()
					newPhaseLab(t, options).run(enter, in, ask, want)
				})
			}
			for name, enter := range waysToConnect {
				synctest.Test(t, func(t *testing.T) {
					defer func() {
						if t.Failed() {
							t.Log(name)
						}
					}()
					newPhaseLab(t, options).run(enter, connecting, ask, want)
				})
			}
		})
	}
}
