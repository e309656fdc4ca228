package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/cmd/websock/internal/process"
	"github.com/seed004e8d11/websock/cmd/websock/internal/report"
)

func TestFanoutReceivesEveryEcho(t *testing.T) {
	url, _ := startServer(t)
	for _, size := range []int{0, 1, 7, 16, 128, 70000} {
		for _, window := range []int{1, 16} {
			for _, kind := range []string{"-text", "-text=false"} {
				t.Run(fmt.Sprintf("%d bytes, window %d, %s", size, window, kind), func(t *testing.T) {
					r, got := runFanout(t, "-url", url, "-n", "10", "-duration", "100ms",
						"-size", fmt.Sprint(size), "-window", fmt.Sprint(window), kind)
					if got.code != 0 || got.err != "" {
						t.Errorf("%+v", got)
					}
					if r.Connections != 10 || r.Sent != r.Received || r.Sent == 0 || r.ErrorsTotal != 0 {
						t.Errorf("%+v", r)
					}
					if r.Latency.P50 > r.Latency.P90 || r.Latency.P90 > r.Latency.P99 || r.Latency.P99 > r.Latency.Max || r.Latency.Max == 0 {
						t.Errorf("%+v", r.Latency)
					}
				})
			}
		}
	}
}

func TestFanoutCompresses(t *testing.T) {
	for _, window := range []string{"1", "16"} {
		r, got := runFanout(t, "-compress", "-n", "10", "-duration", "100ms", "-size", "10000", "-window", window)
		if got.code != 0 || r.Sent != r.Received || r.Sent == 0 {
			t.Errorf("%+v %+v", got, r)
		}
	}
}

func TestFanoutDoesNotDeadlockOnLargeWindows(t *testing.T) {
	url, _ := startServer(t)
	r, got := runFanout(t, "-url", url, "-n", "1", "-duration", "200ms", "-size", "1000000", "-window", "24", "-timeout", "1m")
	if got.code != 0 || r.Sent != r.Received || r.Sent < 24 {
		t.Errorf("%+v %+v", got, r)
	}
}

func TestFanoutStartsItsOwnServerAndPrintsATable(t *testing.T) {
	got := command(t.Context(), "", "fanout", "-quiet", "-n", "20", "-duration", "200ms")
	if got.code != 0 || got.err != "" {
		t.Errorf("%+v", got)
	}
	for _, row := range []string{
		"(child process)", "20 of 20", "dial rate", "messages sent", "messages received", "messages a second",
		"latency p50", "latency p90", "latency p99", "latency max", "client CPU per message", report.MemoryLabel, "errors",
	} {
		if !strings.Contains(got.out, row) {
			t.Errorf("no %q in\n%s", row, got.out)
		}
	}
}

func TestFanoutSpreadsConnectionsOverURLsAtARate(t *testing.T) {
	first, _ := startServer(t)
	second, _ := startServer(t)
	r, got := runFanout(t, "-url", first, "-url", second, "-n", "10", "-rate", "100", "-duration", "50ms")
	if got.code != 0 || len(r.URLs) != 2 || r.Connections != 10 {
		t.Errorf("%+v %+v", got, r)
	}
	if r.DialRate > 130 { // the first one doesn't wait, nor does the first after the baseline
		t.Errorf("dialed %v a second", r.DialRate)
	}
}

func TestFanoutOpensAsManyAsTheLimitOfOpenFilesAllows(t *testing.T) {
	const many = 1 << 29 // more than the limit can be raised to
	limit, known := process.OpenFiles()
	if !known || limit > 1<<20 {
		t.Skip("no limit to speak of")
	}
	each := process.FitConnections(many)
	if each >= limit {
		t.Errorf("%d of %d", each, limit)
	}
	for procs := 1; procs <= 3; procs++ {
		var said strings.Builder
		f := &fanoutCommand{stdio: stdio{console.Streams{Err: &said}}, n: many, procs: procs}
		if got := f.fitConnections(); got != procs*each {
			t.Errorf("%d of %d", got, limit)
		}
		shared := &fanoutCommand{stdio: stdio{console.Streams{Err: io.Discard}}, dialFlags: dialFlags{h2: true}, streams: 10, n: many, procs: procs}
		if got := shared.fitConnections(); got != procs*each*10 {
			t.Errorf("%d WebSockets with 10 on each connection", got)
		}
		member := &fanoutCommand{stdio: stdio{console.Streams{Err: &said}}, clusterFlags: clusterFlags{name: "feed"}, n: many, procs: 1}
		if got := member.fitConnections(); got != many || !strings.Contains(said.String(), "can't hold all") {
			t.Errorf("%d of a cluster's %d: %s", got, many, said.String())
		}
		for _, number := range []int{many, each, procs * each} {
			if !strings.Contains(said.String(), console.Grouped(number)) {
				t.Errorf("no %d in %q", number, said.String())
			}
		}
	}
}

func TestFanoutCountsFailuresByKind(t *testing.T) {
	teapot := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	}))
	defer teapot.Close()
	same := func(op websock.Opcode, _ []byte) websock.Opcode { return op }

	for kind, url := range map[string]string{
		"handshake status 418": "ws" + strings.TrimPrefix(teapot.URL, "http"),
		"dial refused":         unusedURL,
		"TLS":                  "wss" + strings.TrimPrefix(teapot.URL, "http"),
		"connection lost": startScriptedServer(t, func(conn *websock.Conn) {
			conn.RecvMessage(nil)
			conn.SetSendDeadline(time.Unix(1, 0)) // so that no close frame is sent
			conn.SendText(nil)
		}),
		"close code 4321": startScriptedServer(t, func(conn *websock.Conn) {
			conn.RecvMessage(nil)
			conn.CloseWith(4321, "")
		}),
		"payload mismatch": startScriptedServer(t, func(conn *websock.Conn) {
			echoChanged(conn, func(op websock.Opcode, msg []byte) websock.Opcode {
				msg[len(msg)-1]++
				return op
			})
		}),
		"unexpected message": startScriptedServer(t, func(conn *websock.Conn) {
			conn.SendText([]byte("welcome"))
			echoChanged(conn, same)
		}),
		"limit exceeded": startScriptedServer(t, func(conn *websock.Conn) {
			conn.SendBinary(make([]byte, websock.DefaultMessageSize+1))
		}),
	} {
		t.Run(kind, func(t *testing.T) {
			r, got := runFanout(t, "-url", url, "-n", "3", "-duration", "100ms")
			if got.code != 1 || r.Errors[kind] != 3 || len(r.Errors) != 1 || r.ErrorsTotal != 3 {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestFanoutCountsEchoesThatDoNotCome(t *testing.T) {
	t.Parallel() // it takes the timeout, which is longer than a machine stands still
	silent := startScriptedServer(t, func(conn *websock.Conn) { closedWith(conn) })
	r, got := runFanout(t, "-url", silent, "-n", "3", "-duration", "100ms", "-timeout", "20s")
	if got.code != 1 || r.Errors["echo timeout"] != 3 || len(r.Errors) != 1 || r.ErrorsTotal != 3 {
		t.Errorf("%+v", got)
	}
}

func TestFanoutRefusesAnEchoWithAnotherOpcode(t *testing.T) {
	url := startScriptedServer(t, func(conn *websock.Conn) {
		echoChanged(conn, func(websock.Opcode, []byte) websock.Opcode { return websock.OpText })
	})
	r, got := runFanout(t, "-url", url, "-n", "1", "-size", "4", "-duration", "100ms")
	if got.code != 1 || r.Errors["payload mismatch"] != 1 {
		t.Errorf("%+v", got)
	}
}

func TestFanoutReconnects(t *testing.T) {
	var accepted, again atomic.Int32
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	url := startScriptedServer(t, func(conn *websock.Conn) {
		if accepted.Add(1) <= 3 {
			conn.RecvMessage(nil)
			conn.CloseWith(4000, "")
			return
		}
		first := true
		echoChanged(conn, func(op websock.Opcode, _ []byte) websock.Opcode {
			if first && again.Add(1) == 3 {
				interrupt()
			}
			first = false
			return op
		})
	})
	r, got := runFanoutUntil(t, ctx, "-url", url, "-n", "3", "-reconnect", "-duration", "1m")
	if got.code != 130 || r.Reconnects != 3 || r.Errors["close code 4000"] != 3 || r.ErrorsTotal != 3 || r.Received == 0 {
		t.Errorf("%+v %+v", got, r)
	}
	if lost := r.Sent - r.Received; lost != 3 {
		t.Errorf("%d messages were lost, those that were in flight", lost)
	}
}

func TestFanoutDialsAgainOnlyWithReconnect(t *testing.T) {
	var tries atomic.Int32
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1) == 4 {
			interrupt()
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer busy.Close()
	url := "ws" + strings.TrimPrefix(busy.URL, "http")
	r, _ := runFanout(t, "-url", url, "-n", "1", "-duration", "1m")
	if tries.Load() != 1 || r.ErrorsTotal != 1 || r.Seconds > 30 {
		t.Errorf("%d tries, %+v", tries.Load(), r)
	}
	r, _ = runFanoutUntil(t, ctx, "-url", url, "-n", "1", "-duration", "1m", "-reconnect")
	if tries.Load() < 4 || r.Errors["handshake status 503"] < 2 || r.Reconnects != 0 {
		t.Errorf("%d tries, %+v", tries.Load(), r)
	}
}

func TestFanoutUsesAProxy(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.RequestURI != "feed.example:80" {
			t.Errorf("%s %s", r.Method, r.RequestURI)
		}
		http.Error(w, "no", http.StatusBadGateway)
	}))
	defer proxy.Close()
	r, got := runFanout(t, "-url", "ws://feed.example/", "-n", "2", "-proxy", proxy.URL)
	if got.code != 1 || r.Errors["proxy failed"] != 2 {
		t.Errorf("%+v %+v", got, r)
	}
}

func TestFanoutWithWorkerProcesses(t *testing.T) {
	url, _ := startServer(t)
	for _, test := range []struct {
		args []string
		urls int
	}{
		{nil, 3}, // each has a server of its own
		{[]string{"-tls", "-text"}, 3},
		{[]string{"-url", url, "-window", "4", "-rate", "1000"}, 1},
	} {
		args := append([]string{"-procs", "3", "-n", "20", "-duration", "300ms"}, test.args...)
		r, got := runFanout(t, args...)
		if got.code != 0 || got.err != "" {
			t.Errorf("%v: %+v", test.args, got)
		}
		if r.Processes != 3 || r.Connections != 20 || r.Sent != r.Received || r.Sent == 0 || len(r.URLs) != test.urls {
			t.Errorf("%v: %+v", test.args, r)
		}
		if r.Latency.Max == 0 || r.CPUPerMessage == 0 || r.Memory == 0 || r.Seconds < 0.3 {
			t.Errorf("%v: %+v", test.args, r)
		}
	}
}

func TestFailuresOfWorkersAreAddedUp(t *testing.T) {
	got := command(t.Context(), "", "fanout", "-procs", "2", "-n", "5", "-url", unusedURL)
	if got.code != 1 || !strings.Contains(got.out, "5, first: websock: handshake with 127.0.0.1:") {
		t.Errorf("%+v", got)
	}
}

func TestInterruptEndsAllWorkers(t *testing.T) {
	url, _ := startServer(t)
	for _, args := range [][]string{{"-duration", "1m"}, {"-rate", "1"}} {
		ctx := interruptedAfter(t, time.Second)
		args = append([]string{"fanout", "-url", url, "-procs", "2", "-n", "10"}, args...)
		if got := command(ctx, "", args...); got.code != 130 || !strings.Contains(got.out, "of 10") {
			t.Errorf("%+v", got)
		}
	}
}

func TestWorkerThatExitsEarlyIsAnError(t *testing.T) {
	_, key := writeCertificate(t)
	got := command(t.Context(), "", "fanout", "-procs", "2", "-ca", key, "-url", unusedURL)
	if got.code != 1 || !strings.Contains(got.err, "no certificate in "+key) || !strings.Contains(got.err, "not done its part") {
		t.Errorf("%+v", got)
	}
}

func TestFanoutConnectsFromSeveralAddresses(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere loopback has one address")
	}
	var mu sync.Mutex
	from := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		mu.Lock()
		from[host]++
		mu.Unlock()
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		echoChanged(conn, func(op websock.Opcode, _ []byte) websock.Opcode { return op })
	}))
	defer server.Close()
	url := "ws" + strings.TrimPrefix(server.URL, "http")
	r, got := runFanout(t, "-url", url, "-n", "6", "-source", "127.0.0.1,127.0.0.2", "-source", "127.0.0.3", "-duration", "100ms")
	want := map[string]int{"127.0.0.1": 2, "127.0.0.2": 2, "127.0.0.3": 2}
	if got.code != 0 || !maps.Equal(from, want) || len(r.Sources) != 3 {
		t.Errorf("%v, %+v %+v", from, got, r)
	}
}

func TestFanoutChecksFlagsBeforeItDials(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	defer server.Close()
	good := "ws" + strings.TrimPrefix(server.URL, "http")
	page := filepath.Join(t.TempDir(), "out.html")
	for _, args := range [][]string{
		{"-header", "Upgrade: pigeon"},
		{"-subprotocol", "a b"},
		{"-url", "ws://127.0.0.1:99999/"},
		{"-url", "ws://feed.example/#part"},
	} {
		got := command(t.Context(), "", append([]string{"fanout", "-url", good, "-n", "2", "-report", page}, args...)...)
		if got.code != 2 || got.out != "" || requests.Load() > 0 {
			t.Errorf("%q: %+v, %d requests", args, got, requests.Load())
		}
	}
	if _, err := os.Stat(page); err == nil {
		t.Error("the page was begun")
	}
}

func TestFanoutCountsDialTimeouts(t *testing.T) {
	stop := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	defer silent.Close()
	defer close(stop)
	url := "ws" + strings.TrimPrefix(silent.URL, "http")
	r, got := runFanout(t, "-url", url, "-n", "2", "-timeout", "50ms")
	if got.code != 1 || r.Errors["dial timeout"] != 2 {
		t.Errorf("%+v", got)
	}
}

func TestInterruptEndsFanoutEarlyAndCleanly(t *testing.T) {
	url, _ := startServer(t)
	ctx := interruptedAfter(t, 200*time.Millisecond)
	got := command(ctx, "", "fanout", "-url", url, "-n", "10", "-duration", "1m")
	if got.code != 130 || !strings.Contains(got.out, "of 10") {
		t.Errorf("%+v", got)
	}
}

func TestInterruptWhileDialing(t *testing.T) {
	url, _ := startServer(t)
	ctx := interruptedAfter(t, 100*time.Millisecond)
	got := command(ctx, "", "fanout", "-url", url, "-n", "1000", "-rate", "50")
	if got.code != 130 || !strings.Contains(got.out, "of 1,000") {
		t.Errorf("%+v", got)
	}
}

func TestSignalEndsFanoutAndItsServer(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process can't be interrupted there")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out, stderr syncBuffer
	cmd := exec.Command(program, "fanout", "-n", "10", "-duration", "1h")
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	waitUntil(t, "messages are exchanged", func() bool { return strings.Contains(stderr.String(), "exchanging") })
	cmd.Process.Signal(os.Interrupt)
	// Wait returns when no process has the standard error open, so the server must have ended too.
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 130 || !strings.Contains(out.String(), "of 10") {
		t.Errorf("%v: %s %s", err, out.String(), stderr.String())
	}
}

func TestFanoutOverEveryTransport(t *testing.T) {
	cert, key := writeCertificate(t)
	for client := range transports {
		for server := range transports {
			for _, tlsFlags := range [][]string{nil, {"-tls-cert", cert, "-tls-key", key}} {
				t.Run(fmt.Sprintf("%s to %s, TLS %v", client, server, tlsFlags != nil), func(t *testing.T) {
					url, _ := startServer(t, append([]string{"-transport", server}, tlsFlags...)...)
					for _, window := range []string{"1", "500"} {
						r, got := runFanout(t, "-url", url, "-transport", client, "-ca", cert, "-n", "10", "-duration", "100ms", "-size", "1000", "-window", window)
						if got.code != 0 || r.Connections != 10 || r.Sent != r.Received || r.Sent == 0 || r.Transport != client {
							t.Errorf("window %s: %+v", window, got)
						}
					}
				})
			}
		}
	}
}

func TestFanoutStartsItsOwnTLSServer(t *testing.T) {
	for transport := range transports {
		r, got := runFanout(t, "-tls", "-transport", transport, "-n", "10", "-duration", "100ms")
		if got.code != 0 || got.err != "" || r.Connections != 10 || r.Sent != r.Received || !strings.HasPrefix(r.URLs[0], "wss://") {
			t.Errorf("%s: %+v", transport, got)
		}
	}
	cert, _ := writeCertificate(t)
	if r, got := runFanout(t, "-tls", "-ca", cert, "-n", "2", "-duration", "100ms"); got.code != 1 || r.Errors["TLS"] != 2 {
		t.Errorf("with trust in another's certificate: %+v", got)
	}
}

func TestTheMemoryOfAConnectionIsNotThatOfTheProcess(t *testing.T) {
	// Two processes of their own, in which other tests have left nothing.
	r, got := runFanout(t, "-n", "400", "-procs", "2", "-duration", "1ms")
	if got.code != 0 || r.BytesPerConn < 200 || r.BytesPerConn > 4000 || r.CPUPerOpen <= 0 {
		t.Errorf("%d bytes, %v µs for each connection: %+v", r.BytesPerConn, r.CPUPerOpen, got)
	}
}
