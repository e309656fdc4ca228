package fanout

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
)

// weighted returns a set of Targets with these weights, and the memory of their states.
func weighted(t *testing.T, weights ...float64) (*targetSet, *targetMemory) {
	t.Helper()
	targets := URLs(slices.Repeat([]string{"ws://feed.test/"}, len(weights))...)
	for i, w := range weights {
		targets[i].Weight = w
	}
	ts, err := newTargetSet(targets, true, func(int, string) *targetState { return new(targetState) })
	if err != nil {
		t.Fatal(err)
	}
	return ts, newTargetMemory(&Failover{})
}

func TestSlotsPreferTargetsByWeight(t *testing.T) {
	for _, test := range []struct {
		weights []float64
		shares  []float64
	}{
		{[]float64{1, 1, 1}, []float64{1. / 3, 1. / 3, 1. / 3}},
		{[]float64{0, 1}, []float64{.5, .5}},
		{[]float64{3, 1}, []float64{.75, .25}},
		{[]float64{10, 1e-9, 30}, []float64{.25, 0, .75}},
		{[]float64{math.Pi, 1, -5, math.E}, []float64{math.Pi / (math.Pi + 1 + math.E), 1 / (math.Pi + 1 + math.E), 0, math.E / (math.Pi + 1 + math.E)}},
		{[]float64{-1, 7}, []float64{0, 1}},
	} {
		ts, _ := weighted(t, test.weights...)
		counts := make([]int, len(test.weights))
		for n := range 100_000 {
			counts[ts.own(n)]++
			for i, count := range counts {
				if want := test.shares[i] * float64(n+1); math.Abs(float64(count)-want) > 8 {
					t.Fatalf("%v: of %d slots %d prefer target %d, not %.0f", test.weights, n+1, count, i, want)
				}
			}
		}
	}
	equal, _ := weighted(t, 2, 2, 2)
	for n := range 10 {
		if equal.own(n) != n%3 {
			t.Errorf("slot %d prefers target %d", n, equal.own(n))
		}
	}
}

func TestSlotsOfATargetThatFailsSpreadByWeight(t *testing.T) {
	ts, _ := weighted(t, 5, 1, 2, 3, -1, -3)
	const slots = 40_000
	next, spares, all := make([]float64, 6), make([]float64, 6), 0.0
	for n := range slots {
		order := ts.order(n)
		if sorted := slices.Sorted(slices.Values(order)); !slices.Equal(sorted, []int{0, 1, 2, 3, 4, 5}) || order[0] != ts.own(n) {
			t.Fatalf("slot %d: order %v", n, order)
		}
		if order[0] == 0 {
			next[order[1]]++
			spares[order[4]]++
			all++
		}
	}
	for i, want := range []float64{0, 1. / 6, 2. / 6, 3. / 6, 0, 0} {
		if got := next[i] / all; math.Abs(got-want) > 0.015 { // 4 standard deviations
			t.Errorf("%.3f of the slots go to target %d next, and should be %.3f", got, i, want)
		}
	}
	for i, want := range []float64{0, 0, 0, 0, .25, .75} {
		if got := spares[i] / all; math.Abs(got-want) > 0.015 {
			t.Errorf("%.3f of the slots go to spare %d first, and should be %.3f", got, i, want)
		}
	}
}

func TestATargetIsPicked(t *testing.T) {
	now := time.Now()
	const works, avoided, due = 0, 1, 2
	for name, test := range map[string]struct {
		weights []float64
		states  []int
		failed  int
		want    []int
		probe   bool
	}{
		"all work":                     {[]float64{1, 1, 1}, []int{works, works, works}, -1, []int{0}, false},
		"it failed for this slot":      {[]float64{1, 1, 1}, []int{works, works, works}, 0, []int{1, 2}, false},
		"another one did":              {[]float64{1, 1, 1}, []int{works, works, works}, 1, []int{0, 2}, false},
		"the one preferred last did":   {[]float64{2, 2, 0.001}, []int{works, works, works}, 2, []int{0}, false},
		"it is avoided":                {[]float64{1, 1, 1}, []int{avoided, works, works}, -1, []int{1, 2}, false},
		"only one works":               {[]float64{1, 1, 1}, []int{avoided, works, avoided}, 1, []int{1}, false},
		"its time is over":             {[]float64{1, 1, 1}, []int{due, works, works}, -1, []int{0}, true},
		"another one's time is over":   {[]float64{1, 1, 1}, []int{avoided, due, works}, -1, []int{2}, false},
		"none works, one's time is up": {[]float64{1, 1, 1}, []int{avoided, avoided, due}, -1, []int{2}, true},
		"all are avoided":              {[]float64{1, 1, 1}, []int{avoided, avoided, avoided}, -1, []int{1}, false}, // failed first
		"a spare":                      {[]float64{1, -1, 1}, []int{avoided, works, avoided}, -1, []int{1}, false},
		"no spare":                     {[]float64{1, -1, 1}, []int{avoided, works, works}, 2, []int{2}, false},
		"no spare for one failure":     {[]float64{1, -1}, []int{works, works}, 0, []int{0}, false},
		"a spare's time is over":       {[]float64{1, -1}, []int{avoided, due}, -1, []int{1}, true},
	} {
		ts, m := weighted(t, test.weights...)
		for i, state := range test.states {
			s := ts.states[i]
			s.failed = now.Add(-time.Duration((3-i)%3+1) * time.Minute) // 1, 3 and 2 minutes ago
			switch state {
			case avoided:
				s.until = now.Add(time.Second)
			case due:
				s.until = now
			}
		}
		c := ts.chooseLocked(m, 0, test.failed, now)
		if !slices.Contains(test.want, c.target) || c.probe != test.probe {
			t.Errorf("%s: %+v, want %v, probe %v", name, c, test.want, test.probe)
		}
		if c.probe && !ts.states[c.target].active(now) {
			t.Errorf("%s: another slot will try it, too", name)
		}
	}
}

// The slots of a Target know that it has failed from their own attempts or connections.
func TestSlotsThatATargetHasFailedSpreadByWeight(t *testing.T) {
	now := time.Now()
	for name, avoided := range map[string]bool{"avoided": true, "not avoided yet": false} {
		ts, m := weighted(t, 5, 9, 1)
		if avoided {
			ts.states[0].fail(now, m.times)
		}
		next, all := make([]float64, 3), 0.0
		for n := range 10_000 {
			if ts.own(n) == 0 {
				next[ts.chooseLocked(m, n, 0, now).target]++
				all++
			}
		}
		if share := next[1] / all; math.Abs(share-.9) > .03 {
			t.Errorf("%s: %.2f of the slots go to the target with 0.9 of the weight", name, share)
		}
	}
}

func TestAPauseThatIsAskedForIsRespectedIfAllHaveFailed(t *testing.T) {
	ts, m := weighted(t, 1, 1)
	now := time.Now()
	m.failLocked(ts.states[0], &websock.HandshakeError{Status: 503, Header: map[string][]string{"Retry-After": {"60"}}}, false)
	for range DefaultFailures {
		m.failLocked(ts.states[1], errRefused, false)
	}
	if c := ts.chooseLocked(m, 0, 1, now); c.target != 1 {
		t.Error("the target that asks for a pause is picked")
	}
	if until := ts.states[0].until; until.Before(now.Add(time.Minute)) {
		t.Errorf("avoided for %v", until.Sub(now))
	}
}

func TestAnAttemptThatWaitsIsStale(t *testing.T) {
	now := time.Now()
	const works, avoided, due, paused = 0, 1, 2, 3
	for name, test := range map[string]struct {
		weights []float64
		states  []int
		choice  choice
		want    bool
	}{
		"its target works":            {[]float64{1, 1}, []int{works, works}, choice{target: 1}, false},
		"it is avoided":               {[]float64{1, 1}, []int{works, avoided}, choice{target: 1}, true},
		"it is tried again":           {[]float64{1, 1}, []int{works, avoided}, choice{target: 1, probe: true}, false},
		"all are avoided":             {[]float64{1, 1}, []int{avoided, avoided}, choice{target: 1}, false},
		"it asks for a pause":         {[]float64{1, 1}, []int{avoided, paused}, choice{target: 1}, true},
		"all ask for a pause":         {[]float64{1, 1}, []int{paused, paused}, choice{target: 1}, false},
		"the own one works again":     {[]float64{1, 1}, []int{works, works}, choice{target: 1, instead: true}, true},
		"the own one is still broken": {[]float64{1, 1}, []int{avoided, works}, choice{target: 1, instead: true}, false},
		"its time is over":            {[]float64{1, 1}, []int{due, works}, choice{target: 1, instead: true}, true},
		"a spare isn't needed":        {[]float64{1, -1}, []int{works, works}, choice{target: 1}, true},
		"a spare is needed":           {[]float64{1, -1}, []int{due, works}, choice{target: 1}, false},
	} {
		ts, m := weighted(t, test.weights...)
		for i, state := range test.states {
			s := ts.states[i]
			switch state {
			case avoided:
				s.until = now.Add(time.Second)
			case due:
				s.until = now
			case paused:
				s.until = now.Add(time.Second)
				s.pausedUntil = s.until
			}
		}
		if stale := ts.isStaleLocked(test.choice, 0, now); stale != test.want {
			t.Errorf("%s: stale %v", name, stale)
		} else if again := ts.chooseLocked(m, 0, -1, now); stale && again.target == test.choice.target {
			t.Errorf("%s: the same target is chosen again", name)
		}
	}
}

func TestWeightsThatCannotBeUsed(t *testing.T) {
	target := func(weights ...float64) (targets []Target) {
		for _, w := range weights {
			targets = append(targets, Target{URL: "ws://127.0.0.1:1/", Weight: w})
		}
		return targets
	}
	for name, test := range map[string]struct {
		o    Options
		want error
	}{
		"not a number":     {Options{Targets: target(1, math.NaN()), Failover: &Failover{}}, errWeight},
		"infinite":         {Options{Targets: target(1, math.Inf(1)), Failover: &Failover{}}, errWeight},
		"too large":        {Options{Targets: target(math.MaxFloat64, math.MaxFloat64), Failover: &Failover{}}, errWeight},
		"only spares":      {Options{Targets: target(-1, -2), Failover: &Failover{}}, errSpares},
		"without Failover": {Options{Targets: target(1, 2)}, errNoFailover},
	} {
		if g, err := Start(test.o); err != test.want {
			t.Errorf("%s: %v, %v", name, g, err)
		}
	}
}

func TestSlotsLeaveATargetThatFailsAndComeBack(t *testing.T) {
	for name, fails := range map[string]func(context.Context) (net.Conn, error){
		"refuses":           refuse,
		"answers 503":       answerStatus(503, ""),
		"answers 404":       answerStatus(404, ""), // permanent, were it the only one
		"asks for a pause":  answerStatus(503, "Retry-After: 20\r\n"),
		"is silent":         answerNever,
		"no handshake":      func(context.Context) (net.Conn, error) { return replyPipe("SSH-2.0\r\n\r\n"), nil },
		"closes at once":    answerThenClose(websock.CloseTryAgainLater, 0),
		"closes soon after": answerThenClose(websock.CloseServiceRestart, time.Second),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const slots = 60
				board := newSwitchboard()
				o := Options{Targets: board.targets("a", "b", "c"), Size: slots, Failover: &Failover{}, Ping: -1}
				for i := range o.Targets {
					o.Targets[i].Config.Timeout = 5 * time.Second
				}
				g, shutDown := startInBubble(t, o)
				defer shutDown()
				check := func(when string, want ...int) {
					t.Helper()
					var got []int
					for _, s := range g.Targets() {
						got = append(got, s.Up)
					}
					if !slices.Equal(got, want) {
						t.Fatalf("%s: %v slots are up at the targets, want %v; %+v", when, got, want, g.Targets())
					}
				}
				time.Sleep(time.Minute)
				check("in the beginning", 20, 20, 20)
				board.set("b", fails)
				for n := range 20 {
					g.Slot(3*n + 1).Conn().Abort(nil)
				}
				time.Sleep(time.Minute)
				up := g.Targets()
				if up[1].Up > 1 || up[0].Up+up[1].Up+up[2].Up < slots-1 || up[0].Up < 22 || up[2].Up < 22 {
					t.Fatalf("while it fails: %+v", up)
				}
				if up[1].Healthy || up[1].Failed == 0 || up[1].Err == nil {
					t.Errorf("the target that fails: %+v", up[1])
				}
				if !up[0].Healthy || !up[2].Healthy || up[0].Failed+up[2].Failed != 0 || !up[0].AvoidedUntil.IsZero() {
					t.Errorf("the others: %+v", up)
				}
				board.set("b", nil)
				board.takeDials()
				time.Sleep(5 * time.Minute)
				if name != "closes soon after" && name != "closes at once" {
					if n := board.takeDials(); len(n) != 0 {
						t.Errorf("connections were cut: %v", n)
					}
				}
				for s := range g.Slots() {
					if c := s.Conn(); c != nil {
						c.Abort(nil)
					}
				}
				time.Sleep(5 * time.Minute)
				for s := range g.Slots() { // those that were dialed before it was known that it works
					if s.Number()%3 == 1 {
						s.Conn().Abort(nil)
					}
				}
				time.Sleep(time.Minute)
				check("when it works again", 20, 20, 20)
				if b := g.Targets()[1]; !b.Healthy || b.Failures != 0 || b.Err != nil {
					t.Errorf("the target that has failed: %+v", b)
				}
			})
		})
	}
}

// A thousand slots wait for their turn when the target fails to which half of them are to go.
func TestSlotsThatWaitForTheirTurnLeaveATargetThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newSwitchboard()
		board.set("a", refuse)
		g, shutDown := startInBubble(t, Options{Targets: board.targets("a", "b"), Size: 1000, Pace: Pace{Rate: 10}, Failover: &Failover{}, Ping: -1})
		defer shutDown()
		time.Sleep(3 * time.Minute)
		if s := g.Stats(); s.Up != 1000 {
			t.Errorf("%d slots are up", s.Up)
		}
		if n := board.takeDials()["a"]; n < 3 || n > 3+10 { // one whenever the time of avoidance is over
			t.Errorf("%d attempts at the target that fails", n)
		}
	})
}

// The target works again before the slots have had their turn.
func TestSlotsThatWaitForTheirTurnComeBack(t *testing.T) {
	for name, weights := range map[string][]float64{"to their own target": {1, 1}, "from a spare": {1, -1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				board := newSwitchboard()
				board.set("a", refuse)
				o := Options{Targets: board.targets("a", "b"), Size: 1000, Pace: Pace{Rate: 10}, Failover: &Failover{}, Ping: -1}
				for i, w := range weights {
					o.Targets[i].Weight = w
				}
				g, shutDown := startInBubble(t, o)
				defer shutDown()
				time.Sleep(5 * time.Second)
				board.set("a", nil)
				time.Sleep(3 * time.Minute)
				most := 550 // they share the slots but for those that were first
				if weights[1] < 0 {
					most = 200
				}
				if s := g.Targets(); s[0].Up+s[1].Up != 1000 || s[1].Up > most {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestOneSlotFindsOutWhetherATargetWorksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newSwitchboard()
		board.set("a", refuse)
		f := &Failover{Avoid: 10 * time.Second, AvoidMax: 40 * time.Second}
		g, shutDown := startInBubble(t, Options{Targets: board.targets("a", "b"), Size: 100, Failover: f})
		defer shutDown()
		time.Sleep(5 * time.Second)
		board.takeDials()
		for i, want := range []int{0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1} { // after 10, 20, 40 and 40 seconds
			for s := range g.Slots() {
				if c := s.Conn(); c != nil {
					c.Abort(nil)
				}
			}
			time.Sleep(10 * time.Second)
			if n := board.takeDials()["a"]; n > want+1 || i == 1 && n == 0 {
				t.Errorf("in the %dth ten seconds: %d attempts, want %d", i, n, want)
			}
		}
	})
}

func TestAllTargetsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newSwitchboard()
		for _, host := range []string{"a", "b", "c"} {
			board.set(host, refuse)
		}
		g, shutDown := startInBubble(t, Options{Targets: board.targets("a", "b", "c"), Size: 30, Failover: &Failover{}, Backoff: Backoff{Max: 10 * time.Second}, Ping: -1})
		defer shutDown()
		time.Sleep(time.Hour)
		all := board.takeDials()
		total := all["a"] + all["b"] + all["c"]
		if total < 30*360 || all["a"] < total/4 || all["b"] < total/4 || all["c"] < total/4 {
			t.Errorf("dials: %v", all)
		}
		board.set("b", nil)
		time.Sleep(30 * time.Second)
		if s := g.Stats(); s.Up != 30 {
			t.Errorf("%d slots are up when one target works again", s.Up)
		}
		if s := g.Targets(); s[1].Up != 30 || s[0].Healthy || s[2].Healthy {
			t.Errorf("%+v", s)
		}
	})
}

func TestFailuresThatAreTheSlotsOwnDoNotMarkATarget(t *testing.T) {
	login := errors.New("login refused")
	for name, test := range map[string]struct {
		answer  func(context.Context) (net.Conn, error)
		set     func(*Options)
		stopped bool
	}{
		"401": {answerStatus(401, ""), func(*Options) {}, true},
		"403": {answerStatus(403, "Retry-After: 5\r\n"), func(*Options) {}, true},
		"400": {answerStatus(400, ""), func(*Options) {}, false},
		"Prepare fails": {answerAlways, func(o *Options) {
			o.Prepare = func(context.Context, *Slot, *Target) error { return os.ErrDeadlineExceeded }
		}, false},
		"OnConnect fails": {answerAlways, func(o *Options) {
			o.OnConnect = func(context.Context, *Slot, *websock.Conn) error { return login }
		}, false},
		"a function panics": {answerAlways, func(o *Options) {
			o.OnConnect = func(context.Context, *Slot, *websock.Conn) error { panic(login) }
			o.Recover = func(*Slot, any) {}
		}, false},
		"too many open files": {func(context.Context) (net.Conn, error) { return nil, os.NewSyscallError("socket", syscall.EMFILE) }, func(*Options) {}, false},
		"closed with 1000":    {answerThenClose(websock.CloseNormal, time.Second), func(*Options) {}, false},
		"lost":                {func(context.Context) (net.Conn, error) { return servePipe(cutAfter(time.Second)), nil }, func(*Options) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				board := newSwitchboard()
				board.set("a", test.answer)
				o := Options{Targets: board.targets("a", "b"), Size: 2, Failover: &Failover{}, Ping: -1}
				test.set(&o)
				g, shutDown := startInBubble(t, o)
				defer shutDown()
				time.Sleep(time.Minute)
				if s := g.Targets(); !s[0].Healthy || s[0].Failed != 0 {
					t.Errorf("%+v", s[0])
				}
				if stopped := g.Slot(0).State() == Stopped; stopped != test.stopped {
					t.Errorf("the slot is %v: %v", g.Slot(0).State(), g.Slot(0).Err())
				}
			})
		})
	}
}

func TestFailuresAfterTheHandshakeMarkATarget(t *testing.T) {
	receive := func(ctx context.Context, _ *Slot, c *websock.Conn) error {
		_, _, err := c.RecvMessage(nil)
		return err
	}
	for name, test := range map[string]struct {
		answer func(context.Context) (net.Conn, error)
		set    func(*Options)
	}{
		"OnConnect waits for an answer":      {answerAlways, func(o *Options) { o.OnConnect = receive }},
		"the connection is lost meanwhile":   {func(context.Context) (net.Conn, error) { return servePipe(cutAfter(time.Second)), nil }, func(o *Options) { o.OnConnect = receive }},
		"the server restarts meanwhile":      {answerThenClose(websock.CloseServiceRestart, time.Second), func(o *Options) { o.OnConnect = receive }},
		"the server has no answer to a ping": {answerAlways, func(o *Options) { o.Ping, o.PingTimeout = time.Second, time.Second }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				board := newSwitchboard()
				board.set("a", test.answer)
				o := Options{Targets: board.targets("a"), Failover: &Failover{}, Backoff: Backoff{Base: time.Hour, Max: time.Hour}, Ping: -1}
				o.Targets[0].Config.Timeout = 5 * time.Second
				test.set(&o)
				g, shutDown := startInBubble(t, o)
				defer shutDown()
				time.Sleep(10 * time.Second)
				if s := g.Targets(); s[0].Failed == 0 {
					t.Errorf("%+v", s[0])
				}
			})
		})
	}
}

func TestASlotStopsWhenAllTargetsFailForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newSwitchboard()
		board.set("a", answerStatus(404, ""))
		board.set("b", answerStatus(410, ""))
		g, shutDown := startInBubble(t, Options{Targets: board.targets("a", "b"), Failover: &Failover{}, Size: 10, Ping: -1})
		defer shutDown()
		time.Sleep(time.Minute)
		if s := g.Stats(); s.Stopped != 10 || s.Attempts < 10 || s.Attempts > 20 {
			t.Errorf("%+v", s)
		}
		board.set("b", nil)
		for range 2 { // at a, and then at b
			g.Slot(0).Retry()
			time.Sleep(time.Minute)
		}
		for s := range g.Slots() {
			s.Retry()
		}
		time.Sleep(time.Minute)
		if s := g.Stats(); s.Up != 10 {
			t.Errorf("after Retry: %+v", s)
		}
	})
}

// The times are those of Backoff, and not what the server asks for.
func TestASlotGoesToAnotherTargetAtOnce(t *testing.T) {
	for name, answer := range map[string]func(context.Context) (net.Conn, error){
		"Retry-After": answerStatus(503, "Retry-After: 60\r\n"),
		"1012":        answerThenClose(websock.CloseServiceRestart, 0),
		"1013":        answerThenClose(websock.CloseTryAgainLater, 0),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				board := newSwitchboard()
				board.set("a", answer)
				var waits []time.Duration
				g, shutDown := startInBubble(t, Options{
					Targets: board.targets("a", "b"), Size: 1, Failover: &Failover{},
					OnDown: func(_ *Slot, _ error, next time.Duration) { waits = append(waits, next) },
				})
				defer shutDown()
				time.Sleep(time.Second)
				synctest.Wait()
				if len(waits) != 1 || waits[0] > DefaultBackoffBase || g.Slot(0).State() != Up || g.Targets()[1].Up != 1 {
					t.Errorf("waits %v, %v", waits, g.Targets())
				}
			})
		})
	}
}

func TestWithoutFailoverEachSlotKeepsToItsTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newSwitchboard()
		board.set("a", refuse)
		g, shutDown := startInBubble(t, Options{Targets: board.targets("a", "b"), Size: 10, Ping: -1})
		defer shutDown()
		time.Sleep(time.Minute)
		if s := g.Targets(); g.Stats().Up != 5 || s[0].Up != 0 || s[1].Up != 5 || s[0].Healthy || s[0].Failed < 5*5 {
			t.Errorf("%+v", s)
		}
	})
}

func TestTargetsOfChooseAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newSwitchboard()
		board.set("b", refuse)
		targets := board.targets("a", "b", "c")
		g, shutDown := startInBubble(t, Options{
			Choose: func(s *Slot) Target { return targets[s.Number()%3] },
			Size:   6,
			Ping:   -1, // which nobody answers
		})
		defer shutDown()
		time.Sleep(time.Minute)
		s := g.Targets()
		if len(s) != 3 || s[0].Host != "a:80" || s[0].Index != -1 || s[0].Up != 2 || s[1].Healthy || s[2].Up != 2 {
			t.Errorf("%+v", s)
		}
	})
}

func TestFewTargetStatesAreRemembered(t *testing.T) {
	m := newTargetMemory(nil)
	failing := m.stateOf(&Target{}, "failing")
	m.failLocked(failing, errRefused, true)
	for i := range maxTargetStates + 1000 {
		m.stateOf(&Target{}, fmt.Sprint(i))
	}
	if len(m.others) != maxTargetStates {
		t.Errorf("%d states", len(m.others))
	}
	if m.stateOf(&Target{}, "failing") != failing {
		t.Error("one that fails was forgotten before those that work")
	}
}

func TestFailoverWhileServersComeAndGo(t *testing.T) {
	var servers []*testServer
	var o Options
	for range 3 {
		server := newTestServer(t)
		servers = append(servers, server)
		o.Targets = append(o.Targets, targetsFor(nil, server.url())...)
	}
	o.Targets[1].Weight = 2
	o.Size, o.Failover = 200, &Failover{Avoid: 10 * time.Millisecond, AvoidMax: 50 * time.Millisecond}
	o.Pace.PerHost = 4
	g := startGroup(t, o)
	stop := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				g.Targets()
			}
		}
	})
	for round := range 6 {
		waitAllUp(t, g)
		server := servers[round%3]
		server.kill()
		waitUntil(t, "all are up at the other servers", func() bool {
			return g.Targets()[round%3].Up == 0 && g.Stats().Up == o.Size
		})
		server.start()
	}
	close(stop)
	reading.Wait()
	waitAllUp(t, g)
	checkCounts(t, g.Stats(), o.Size)
}

func TestASlotThatIsAddedHasTargetsOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newSwitchboard()
		board.set("b", refuse)
		o := Options{Targets: board.targets("a"), Size: -1, Ping: -1, Backoff: Backoff{Max: time.Second}}
		g, shutDown := startInBubble(t, o)
		defer shutDown()
		add := func(key string, weight float64, hosts ...string) error {
			targets := board.targets(hosts...)
			if len(targets) > 0 {
				targets[0].Weight = weight
			}
			_, err := g.Add(key, SlotOptions{Targets: targets})
			return err
		}
		for i := range 20 {
			if err := add(fmt.Sprint("two ", i), 0, "b", "c"); err != nil {
				t.Fatal(err)
			}
		}
		for key, hosts := range map[string][]string{"none": nil, "one": {"d"}, "one that fails": {"b"}} {
			if err := add(key, 0, hosts...); err != nil {
				t.Fatal(err)
			}
		}
		if err := add("a spare only", -1, "b"); err != errSpares {
			t.Error(err)
		}
		time.Sleep(10 * time.Minute)
		s := g.Targets()
		if len(s) != 4 || s[0].Index != 0 || s[0].Host != "a:80" || s[0].Up != 1 || s[1].Healthy || s[2].Index != -1 || s[2].Up != 20 || s[3].Up != 1 {
			t.Errorf("%+v", s)
		}
		if err := g.Find("one that fails").Err(); FailureOf(err) != FailedConnect {
			t.Error(err)
		}
		g.Find("one that fails").Stop() // it dials all the time
		tried := board.takeDials()["b"]
		for i := range 20 {
			g.Find(fmt.Sprint("two ", i)).Reconnect()
		}
		time.Sleep(time.Second)
		if n := board.takeDials()["b"]; n > 1 { // whether it works again
			t.Errorf("%d dials of the target that all know to fail, after %d", n, tried)
		}
		for s := range g.Slots() {
			s.Remove()
		}
		time.Sleep(2 * time.Hour)
		if s := g.Targets(); len(s) != 1 || s[0].Up != 0 {
			t.Errorf("after a while nothing of the others is told: %+v", s)
		}
	})
}

func TestASlotThatChoosesAgainMayBeRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newSwitchboard()
		board.set("a", refuse)
		g, shutDown := startInBubble(t, Options{
			Targets:  board.targets("a", "b"),
			Size:     400,
			Pace:     Pace{Rate: 100},
			Failover: &Failover{Failures: 1, Avoid: 30 * time.Millisecond, AvoidMax: 30 * time.Millisecond},
			Ping:     -1,
		})
		defer shutDown()
		for n := range 200 { // while the target is avoided and tried again
			time.Sleep(20 * time.Millisecond)
			switch s := g.Slot(399 - n); n % 4 {
			case 0:
				s.Remove()
			case 1:
				s.Stop()
			case 2:
				s.Reconnect()
			case 3:
				s.Retry()
			}
		}
		time.Sleep(time.Minute)
		if s := g.Stats(); s.Up != 300 || s.Stopped != 50 || g.Len() != 350 {
			t.Errorf("%+v", s)
		}
		synctest.Wait()
		if n := g.dials.waiting; n != 0 {
			t.Errorf("%d attempts wait", n)
		}
	})
}

func TestAttemptsThatWaitAreLookedAtOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newSwitchboard()
		g, shutDown := startInBubble(t, Options{Targets: board.targets("a", "b"), Size: -1, Failover: &Failover{}})
		defer shutDown()
		r := &g.rechooser
		looks := map[time.Time]bool{}
		for range 1000 {
			r.request()
			time.Sleep(10 * time.Millisecond)
			r.mu.Lock()
			looks[r.last] = true
			r.mu.Unlock()
		}
		if n := len(looks); n < 9 || n > 11 {
			t.Errorf("%d looks in 10 s", n)
		}
	})
}
