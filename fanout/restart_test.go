package fanout

import (
	"context"
	"flag"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

var manySlots = flag.Int("slots", 500, "slots of the tests of restarts; with the server in the same process they take two descriptors each")

// subscriptions notes on the server which connection has subscribed to what.
type subscriptions struct {
	t     *testing.T
	mu    sync.Mutex
	conns map[*websock.Conn]string
}

func (s *subscriptions) take(c *websock.Conn, _ websock.Opcode, msg []byte) {
	key, subscribes := strings.CutPrefix(string(msg), "subscribe ")
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case subscribes && s.conns[c] == "":
		s.conns[c] = key
	case subscribes:
		s.t.Errorf("%q after %q on the same connection", msg, s.conns[c])
	case s.conns[c] == "":
		s.t.Errorf("%q before the subscription", msg)
	}
}

// of returns how many of the connections have subscribed, and to how many different things.
func (s *subscriptions) of(conns []*websock.Conn) (subscribed, different int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := map[string]bool{}
	for _, c := range conns {
		if key := s.conns[c]; key != "" {
			subscribed++
			keys[key] = true
		}
	}
	return subscribed, len(keys)
}

// checkPace asserts that connections arrived no faster than the rate, but for what is made up
// for. That one is late is no failure.
func checkPace(t *testing.T, since time.Time, arrivals []time.Time, rate float64, burst int) {
	t.Helper()
	const clocks = 5*time.Millisecond + maxLateness // between the limiter's now and that of the test
	for i, at := range arrivals {
		earliest := time.Duration(float64(i+1-burst) / rate * float64(time.Second))
		if since := at.Sub(since); since < earliest-clocks {
			t.Fatalf("arrival %d of %d after %v, %v too early", i, len(arrivals), since, earliest-since)
		}
	}
}

// perTenth counts the arrivals in each tenth of a second.
func perTenth(since time.Time, arrivals []time.Time) (counts []int) {
	for _, at := range arrivals {
		tenth := int(max(at.Sub(since), 0) / (100 * time.Millisecond))
		for len(counts) <= tenth {
			counts = append(counts, 0)
		}
		counts[tenth]++
	}
	return counts
}

func TestAllComeBackAfterEveryRestart(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		const burst = 10
		slots, rate := *manySlots, float64(*manySlots)
		server := newTestServer(t)
		subs := &subscriptions{t: t, conns: map[*websock.Conn]string{}}
		server.OnMessage = subs.take
		since := time.Now()
		g := begun(t, Options{
			Targets: over(transport, server.url()),
			Size:    slots,
			Pace:    Pace{Rate: rate, Burst: burst, PerHost: 8},
			OnConnect: func(_ context.Context, s *Slot, c *websock.Conn) error {
				return c.SendText([]byte("subscribe " + s.Key()))
			},
		})
		stop := make(chan struct{})
		var broadcasts sync.WaitGroup
		defer broadcasts.Wait()
		defer close(stop)
		broadcasts.Go(func() {
			pause := time.Duration(slots) * 100 * time.Microsecond // so that the machine can keep up
			for {
				select {
				case <-stop:
					return
				case <-time.After(pause):
					g.Broadcast(websock.OpText, []byte("news"))
				}
			}
		})
		accepted := uint64(0)
		for round := range 4 {
			allUp(t, g)
			eventually(t, "all subscribed", func() bool {
				subscribed, different := subs.of(server.all())
				return subscribed == slots && different == slots
			})
			arrivals := server.takeArrivals()
			checkPace(t, since, arrivals, rate, burst)
			t.Logf("round %d: %d arrivals, in each tenth of a second: %v", round, len(arrivals), perTenth(since, arrivals))
			accepted = server.accepted.Load()
			if round == 3 {
				break
			}
			server.kill()
			eventually(t, "all lost", func() bool { return lostOf(g.Stats()) == g.Stats().Ready })
			since = time.Now()
			server.start()
		}
		s := g.Stats()
		checkCounts(t, s, slots)
		if s.Ready > accepted {
			t.Errorf("%d were ready, and the server accepted %d", s.Ready, accepted)
		}
	})
}

// checkCounts asserts that the counts of slots that are all up add up.
func checkCounts(t *testing.T, s Stats, slots int) {
	t.Helper()
	t.Logf("%+v", s)
	failed := uint64(0)
	for _, n := range s.Failed {
		failed += n
	}
	if s.Attempts != s.Ready+failed || s.Ready != uint64(s.Up)+lostOf(s) || s.Up != slots {
		t.Errorf("the counts don't add up: %+v", s)
	}
}

func lostOf(s Stats) (n uint64) {
	for _, lost := range s.Lost {
		n += lost
	}
	return n
}
