package fanout

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/loopback"
	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/transport/epoll"
)

var manySlots = flag.Int("slots", 500, "slots of the tests of restarts; with the server in the same process they take two descriptors each")

// subscriptions records on the server which connection has subscribed to what.
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

// of returns how many of the connections have subscribed, and how many different keys these have.
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

// checkPace asserts that connections arrived no faster than at the rate, except for the lateness that
// a pacer makes up for. They may arrive later.
func checkPace(t *testing.T, since time.Time, arrivals []time.Time, rate float64, burst int) {
	t.Helper()
	const clocks = 5*time.Millisecond + maxLateness // the pacer and the test read the clock at different times
	for i, at := range arrivals {
		earliest := time.Duration(float64(i+1-burst) / rate * float64(time.Second))
		if since := at.Sub(since); since < earliest-clocks {
			t.Fatalf("arrival %d of %d after %v, %v too early", i, len(arrivals), since, earliest-since)
		}
	}
}

// arrivalsPerTenth counts the arrivals in each tenth of a second.
func arrivalsPerTenth(since time.Time, arrivals []time.Time) (counts []int) {
	for _, at := range arrivals {
		tenth := int(max(at.Sub(since), 0) / (100 * time.Millisecond))
		for len(counts) <= tenth {
			counts = append(counts, 0)
		}
		counts[tenth]++
	}
	return counts
}

func TestAllSlotsAreUpAfterEachServerRestart(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		t.Parallel()
		const burst = 10
		slots, rate := *manySlots, float64(*manySlots)
		server := newTestServer(t)
		subs := &subscriptions{t: t, conns: map[*websock.Conn]string{}}
		server.OnMessage = subs.take
		since := time.Now()
		g := startGroup(t, Options{
			Targets: targetsFor(transport, server.url()),
			Size:    slots,
			Pace:    Pace{Rate: rate, Burst: burst, PerHost: 8},
			Ping:    -1, // so that only the server ends connections
			OnConnect: func(_ context.Context, s *Slot, c *websock.Conn) error {
				return c.SendText([]byte("subscribe " + s.Key()))
			},
		})
		stop := make(chan struct{})
		var broadcasts sync.WaitGroup
		defer broadcasts.Wait()
		defer close(stop)
		broadcasts.Go(func() {
			pause := time.Duration(slots) * 100 * time.Microsecond // which the machine can keep up with
			if race.Enabled {
				pause *= 10
			}
			for {
				select {
				case <-stop:
					return
				case <-time.After(pause):
					g.Broadcast(websock.OpText, []byte("news"))
				}
			}
		})
		for round := range 4 {
			waitAllUp(t, g)
			waitUntil(t, "all subscribed", func() bool {
				subscribed, different := subs.of(server.all())
				return subscribed == slots && different == slots
			})
			arrivals := server.takeArrivals()
			checkPace(t, since, arrivals, rate, burst)
			t.Logf("round %d: %d arrivals, in each tenth of a second: %v", round, len(arrivals), arrivalsPerTenth(since, arrivals))
			if round == 3 {
				break
			}
			server.kill()
			waitUntil(t, "all lost", func() bool { return totalLost(g.Stats()) == g.Stats().Ready })
			since = time.Now()
			server.start()
		}
		checkCounts(t, g.Stats(), slots)
	})
}

// serverAddress is the environment variable that makes TestServerProcess a server.
const serverAddress = "FANOUT_TEST_SERVER"

// A serverReport says what the server in a process of its own has seen.
type serverReport struct {
	Subscribed, Different int
	Broken                bool  // a connection has not subscribed exactly once, before anything else
	Arrivals              []int // in each tenth of a second since the first one
}

// TestServerProcess is the server of another test: a process that can be killed.
func TestServerProcess(t *testing.T) {
	addr := os.Getenv(serverAddress)
	if addr == "" {
		t.Skip("this is not the process of a server")
	}
	server := &testServer{t: t, addr: addr, conns: map[*websock.Conn]struct{}{}}
	subs := &subscriptions{t: t, conns: map[*websock.Conn]string{}}
	server.OnMessage = func(c *websock.Conn, op websock.Opcode, msg []byte) {
		if string(msg) != "report" {
			subs.take(c, op, msg)
			return
		}
		subscribed, different := subs.of(server.all())
		arrivals := server.takeArrivals()
		answer, _ := json.Marshal(serverReport{subscribed, different, t.Failed(), arrivalsPerTenth(arrivals[0], arrivals)})
		c.SendText(answer)
	}
	server.start()
	io.Copy(io.Discard, os.Stdin) // until it is killed, or the test has ended
}

// A serverProcess runs TestServerProcess in another process.
type serverProcess struct {
	t     *testing.T
	addr  string
	cmd   *exec.Cmd
	stdin io.Closer // when it is closed, the process ends
}

func (p *serverProcess) start() {
	p.cmd = exec.Command(os.Args[0], "-test.run=^TestServerProcess$")
	p.cmd.Env = append(os.Environ(), serverAddress+"="+p.addr)
	p.cmd.Stdout, p.cmd.Stderr = os.Stderr, os.Stderr
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

func (p *serverProcess) kill() {
	p.cmd.Process.Kill()
	p.stdin.Close()
	p.cmd.Wait()
}

// report asks the server for its serverReport.
func (p *serverProcess) report() (seen serverReport) {
	c, err := websock.Dial(p.t.Context(), "ws://"+p.addr+"/", &websock.Config{Proxy: websock.NoProxy})
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	c.SendText([]byte("report"))
	_, answer, err := c.RecvMessage(nil)
	if err == nil {
		err = json.Unmarshal(answer, &seen)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return seen
}

func TestAllSlotsAreUpAfterTheServerProcessIsKilled(t *testing.T) {
	slots := *manySlots
	server := &serverProcess{t: t, addr: loopback.Addresses(t, 1)[0]}
	server.start()
	defer func() { server.kill() }()
	g := startGroup(t, Options{
		Targets: targetsFor(epoll.Transport(), "ws://"+server.addr+"/"),
		Size:    slots,
		Pace:    Pace{Rate: float64(slots), Burst: 10, PerHost: 8},
		Backoff: Backoff{Base: 20 * time.Millisecond, Max: time.Second},
		OnConnect: func(_ context.Context, s *Slot, c *websock.Conn) error {
			return c.SendText([]byte("subscribe " + s.Key()))
		},
	})
	for round := range 4 {
		began := time.Now()
		waitAllUp(t, g)
		up := time.Since(began)
		var seen, all serverReport
		waitUntil(t, "all subscribed", func() bool {
			seen = server.report()
			all.Arrivals = append(all.Arrivals, seen.Arrivals...)
			return seen.Subscribed == slots
		})
		if seen.Different != slots || seen.Broken {
			t.Errorf("round %d: %d subscriptions, %d different; broken: %v", round, seen.Subscribed, seen.Different, seen.Broken)
		}
		g.Broadcast(websock.OpText, []byte("news"))
		t.Logf("round %d: all up after %v; arrivals in each tenth of a second: %v", round, up, all.Arrivals)
		if round == 3 {
			break
		}
		server.kill()
		waitUntil(t, "all lost", func() bool { return totalLost(g.Stats()) == g.Stats().Ready })
		server.start()
	}
	checkCounts(t, g.Stats(), slots)
}
