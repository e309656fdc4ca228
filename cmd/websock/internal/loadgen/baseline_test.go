package loadgen

import (
	"context"
	"net"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
	"github.com/seed004e8d11/websock/cmd/websock/internal/payload"
	"github.com/seed004e8d11/websock/cmd/websock/internal/process"
	"github.com/seed004e8d11/websock/fanout"
)

func TestAQuarterOfTheConnectionsIsDialedFirst(t *testing.T) {
	for _, test := range []struct {
		config Config
		want   int
	}{
		{Config{Connections: 3}, 0},
		{Config{Connections: 4}, 1},
		{Config{Connections: 1000}, 250},
		{Config{Connections: 100_000}, 1024},
		{Config{Connections: 1000, Mux: &websock.Mux{}}, 200},
		{Config{Connections: 1000, Mux: &websock.Mux{StreamsPerConn: 300}}, 250},
		{Config{Connections: 100_000, Mux: &websock.Mux{StreamsPerConn: 1000}}, 1000},
	} {
		if got := firstConnections(test.config); got != test.want {
			t.Errorf("%+v: %d, want %d", test.config, got, test.want)
		}
	}
}

func TestCostsAreThoseOfTheConnectionsAfterTheBaseline(t *testing.T) {
	if !isAlone(t) {
		return
	}
	const each = 1 << 20
	memory, cpu := process.LiveMemory(), process.CPUTime()
	after := make([]byte, 30*each)
	r := measure.Result{Connections: 40}
	begin := time.Now()
	baseline{connections: 10, memory: memory, cpu: cpu}.addCosts(&r)
	if got := r.IdleMemory / r.Connections; got < each*9/10 || got > each*11/10 {
		t.Errorf("%d bytes each, want %d", got, each)
	}
	runtime.KeepAlive(after)
	if r.Dialing >= 0 || r.Dialing < -time.Since(begin) {
		t.Errorf("that takes %v from the time of dialing", -r.Dialing)
	}
	if r.DialCPU <= 0 {
		t.Errorf("CPU time %v", r.DialCPU)
	}
	r = measure.Result{Connections: 10}
	if (baseline{connections: 10}).addCosts(&r); r.IdleMemory != 0 || r.DialCPU != 0 {
		t.Errorf("of no further connections: %+v", r)
	}
}

// isAlone reports whether this is a process that runs only the test. If not, it starts that: what the tests
// before hold in memory, they may let go at any time.
func isAlone(t *testing.T) bool {
	const variable = "WEBSOCK_TEST_ALONE"
	if os.Getenv(variable) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), variable+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	return false
}

func TestServersThatDoNotAnswerTheFirstConnectionsGetTheOthers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const n = 4
	g := New(Config{
		Targets:     []fanout.Target{{URL: "ws://" + l.Addr().String()}},
		Connections: n,
		Message:     payload.New(false, 16),
		Window:      1,
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dialed := make(chan error)
	go func() { dialed <- g.Dial(ctx) }()
	var conns []net.Conn
	for i := range n {
		l.(*net.TCPListener).SetDeadline(time.Now().Add(30 * time.Second))
		conn, err := l.Accept()
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		conns = append(conns, conn)
	}
	cancel()
	if err := <-dialed; err != nil {
		t.Error(err)
	}
	for _, conn := range conns {
		conn.Close() // so that none is waited for
	}
	if result, _ := g.Finish(t.Context(), 0); result.Connections != 0 || result.IdleMemory != 0 {
		t.Errorf("%+v", result)
	}
}
