package fanout

import (
	"context"
	"flag"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/leak"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/netpoll"
	"github.com/seed004e8d11/websock/transport/std"
	"go.uber.org/goleak"
)

// TestMain also checks that no goroutine is left in the end, but for the pollers of netpoll, which
// never end.
func TestMain(m *testing.M) {
	flag.Set("test.parallel", "6") // unless the command line sets it: most tests only wait
	leak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/cloudwego/netpoll.(*defaultPoll).Wait"))
}

// transports are those that most tests run on: epoll and netpoll queue, and std blocks.
var transports = map[string]websock.Transport{
	"epoll":   epoll.Transport(),
	"netpoll": netpoll.Transport(),
	"std":     std.Transport(),
}

func eachTransport(t *testing.T, f func(t *testing.T, transport websock.Transport)) {
	for name, transport := range transports {
		t.Run(name, func(t *testing.T) { f(t, transport) })
	}
}

// eachCarrier is eachTransport, and also calls f with a muxed Transport.
func eachCarrier(t *testing.T, f func(t *testing.T, transport websock.Transport)) {
	eachTransport(t, f)
	t.Run("mux", func(t *testing.T) {
		m := newMux(t)
		m.StreamsPerConn = 7
		f(t, muxed{epoll.Transport(), m})
	})
}

// startGroup starts a Group that is shut down when the test ends. It dials at once and again soon,
// unless o says otherwise.
func startGroup(t testing.TB, o Options) *Group {
	t.Helper()
	o.Pace.Rate = orDefault(o.Pace.Rate, -1)
	o.Backoff.Base = orDefault(o.Backoff.Base, 10*time.Millisecond)
	o.Backoff.Max = orDefault(o.Backoff.Max, 100*time.Millisecond)
	g, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shutdown(t, g) })
	return g
}

// startInBubble starts a Group in a bubble of testing/synctest, whose clock stands still while
// anything runs. shutDown has to be called before the bubble ends.
func startInBubble(t *testing.T, o Options) (g *Group, shutDown func()) {
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
		time.Sleep(time.Hour) // so that goroutines of the peers reach their timeouts
	}
}

// patience is how long a test waits for what must happen, also on a machine that does a lot else.
const patience = 4 * time.Minute

func shutdown(t testing.TB, g *Group) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := g.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// waitAllUp waits until all slots are up.
func waitAllUp(t testing.TB, g *Group) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := g.WaitUp(ctx, g.Len()); err != nil {
		t.Fatalf("%v; %+v, %v", err, g.Stats(), g.Slot(0).Err())
	}
}

// waitUntil waits until condition holds. The test fails if it does not soon.
func waitUntil(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: ", what)
		}
	}
}

// targetsFor returns one Target, with a URL and a transport, which nil makes the default. It doesn't give up a
// closing handshake before the test does.
func targetsFor(transport websock.Transport, url string) []Target {
	t := Target{URL: url, Config: websock.Config{Transport: transport, Proxy: websock.NoProxy}}
	t.Config.Limits.CloseTimeout = patience
	if over, ok := transport.(muxed); ok {
		t.Config.Transport, t.Config.Mux = over.Transport, over.mux
	}
	return []Target{t}
}

func totalLost(s Stats) (n uint64) {
	for _, lost := range s.Lost {
		n += lost
	}
	return n
}

// addUp reports whether all slots are up and the counts add up. They may not while slots come and go.
func addUp(s Stats, slots int) bool {
	failed := uint64(0)
	for _, n := range s.Failed {
		failed += n
	}
	return s.Attempts == s.Ready+failed && s.Ready == uint64(s.Up)+totalLost(s) && s.Up == slots
}

// checkCounts asserts that all slots are up and that the counts add up.
func checkCounts(t *testing.T, s Stats, slots int) {
	t.Helper()
	t.Logf("%+v", s)
	if !addUp(s, slots) {
		t.Errorf("the counts don't add up: %+v", s)
	}
}
