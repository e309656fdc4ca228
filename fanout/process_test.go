package fanout

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/epoll"
)

// serverAddress is the variable of the environment that makes TestServeAnotherProcess listen.
const serverAddress = "FANOUT_TEST_SERVER"

// A tally is what a server in a process of its own has seen.
type tally struct {
	Subscribed, Different int
	Broken                bool  // a connection has not subscribed once, and before all else
	Arrivals              []int // in each tenth of a second since the first one
}

// It is no test, but the server of one: a process that can be killed.
func TestServeAnotherProcess(t *testing.T) {
	addr := os.Getenv(serverAddress)
	if addr == "" {
		t.Skip("this is not another process")
	}
	server := &testServer{t: t, addr: addr, conns: map[*websock.Conn]struct{}{}}
	subs := &subscriptions{t: t, conns: map[*websock.Conn]string{}}
	server.OnMessage = func(c *websock.Conn, op websock.Opcode, msg []byte) {
		if string(msg) != "tally" {
			subs.take(c, op, msg)
			return
		}
		subscribed, different := subs.of(server.all())
		arrivals := server.takeArrivals()
		answer, _ := json.Marshal(tally{subscribed, different, t.Failed(), perTenth(arrivals[0], arrivals)})
		c.SendText(answer)
	}
	server.start()
	io.Copy(io.Discard, os.Stdin) // until it is killed, or nobody is there to do it
}

// A serverProcess is that process, as the test has it.
type serverProcess struct {
	t     *testing.T
	addr  string
	cmd   *exec.Cmd
	stdin io.Closer // the process ends with it
}

func (p *serverProcess) start() {
	p.cmd = exec.Command(os.Args[0], "-test.run=^TestServeAnotherProcess$")
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

// tally asks the server.
func (p *serverProcess) tally() (seen tally) {
	c, err := websock.Dial(p.t.Context(), "ws://"+p.addr+"/", &websock.Config{Proxy: websock.NoProxy})
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	c.SendText([]byte("tally"))
	_, answer, err := c.RecvMessage(nil)
	if err == nil {
		err = json.Unmarshal(answer, &seen)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return seen
}

func TestAllComeBackAfterTheServerIsKilled(t *testing.T) {
	slots := *manySlots
	server := &serverProcess{t: t, addr: freeAddress(t)}
	server.start()
	defer func() { server.kill() }()
	g := begun(t, Options{
		Targets: over(epoll.Transport(), "ws://"+server.addr+"/"),
		Size:    slots,
		Pace:    Pace{Rate: float64(slots), Burst: 10, PerHost: 8},
		Backoff: Backoff{Base: 20 * time.Millisecond, Max: time.Second},
		OnConnect: func(_ context.Context, s *Slot, c *websock.Conn) error {
			return c.SendText([]byte("subscribe " + s.Key()))
		},
	})
	for round := range 4 {
		began := time.Now()
		allUp(t, g)
		up := time.Since(began)
		var seen, all tally
		eventually(t, "all subscribed", func() bool {
			seen = server.tally()
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
		eventually(t, "all lost", func() bool { return lostOf(g.Stats()) == g.Stats().Ready })
		server.start()
	}
	checkCounts(t, g.Stats(), slots)
}

// freeAddress returns one that nothing listens on.
func freeAddress(t *testing.T) string {
	server := newTestServer(t)
	server.kill()
	return server.addr
}
