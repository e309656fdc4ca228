package main

import (
	"encoding/json"
	"fmt"
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
	"github.com/seed004e8d11/websock/engine"
)

// fanoutReport runs "websock fanout -json" and returns what it reports.
func fanoutReport(t *testing.T, args ...string) (report, outcome) {
	t.Helper()
	got := command(t.Context(), "", append([]string{"fanout", "-json"}, args...)...)
	var r report
	if err := json.Unmarshal([]byte(got.out), &r); err != nil {
		t.Fatalf("%v: %+v", err, got)
	}
	return r, got
}

func TestFanoutReceivesAllThatItSends(t *testing.T) {
	url, _ := serving(t)
	for _, size := range []int{0, 1, 7, 16, 128, 70000} {
		for _, window := range []int{1, 16} {
			for _, kind := range []string{"-text", "-text=false"} {
				t.Run(fmt.Sprintf("%d bytes, window %d, %s", size, window, kind), func(t *testing.T) {
					r, got := fanoutReport(t, "-url", url, "-n", "10", "-duration", "100ms",
						"-size", fmt.Sprint(size), "-window", fmt.Sprint(window), kind)
					if got.code != 0 || got.err != "" {
						t.Errorf("%+v", got)
					}
					if r.Connections != 10 || r.Sent != r.Received || r.Sent < int64(10*window) || r.ErrorsTotal != 0 {
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
		r, got := fanoutReport(t, "-compress", "-n", "10", "-duration", "100ms", "-size", "10000", "-window", window)
		if got.code != 0 || r.Sent != r.Received || r.Sent < 10 {
			t.Errorf("%+v %+v", got, r)
		}
	}
}

func TestFanoutDoesNotDeadlockOnLargeWindows(t *testing.T) {
	url, _ := serving(t)
	r, got := fanoutReport(t, "-url", url, "-n", "1", "-duration", "200ms", "-size", "1000000", "-window", "24", "-timeout", "1m")
	if got.code != 0 || r.Sent != r.Received || r.Sent < 24 {
		t.Errorf("%+v %+v", got, r)
	}
}

func TestFanoutStartsItsOwnServerAndPrintsATable(t *testing.T) {
	got := command(t.Context(), "", "fanout", "-n", "20", "-duration", "200ms")
	if got.code != 0 || got.err != "" {
		t.Errorf("%+v", got)
	}
	for _, row := range []string{
		"(child process)", "20 of 20", "dial rate", "messages sent", "messages received", "messages a second",
		"latency p50", "latency p90", "latency p99", "latency max", "client CPU per message", memoryLabel, "errors",
	} {
		if !strings.Contains(got.out, row) {
			t.Errorf("no %q in\n%s", row, got.out)
		}
	}
}

func TestFanoutSpreadsOverURLsAtAPace(t *testing.T) {
	first, _ := serving(t)
	second, _ := serving(t)
	r, got := fanoutReport(t, "-url", first, "-url", second, "-n", "10", "-rate", "100", "-duration", "50ms")
	if got.code != 0 || len(r.URLs) != 2 || r.Connections != 10 {
		t.Errorf("%+v %+v", got, r)
	}
	if r.DialRate > 112 {
		t.Errorf("dialled %v a second", r.DialRate)
	}
}

func TestFanoutOpensWhatTheLimitOfOpenFilesAllows(t *testing.T) {
	const many = 1 << 29 // which nobody may raise it to
	limit, known := openFiles()
	if !known || limit > 1<<20 {
		t.Skip("no limit to speak of")
	}
	if got := fitFiles(many); got != limit-spareFiles {
		t.Errorf("%d of %d", got, limit)
	}
	for procs := 1; procs <= 3; procs++ {
		var said strings.Builder
		f := &fanoutJob{stdio: stdio{err: &said}, n: many, procs: procs}
		each := limit - spareFiles
		if got := f.fit(); got != procs*each {
			t.Errorf("%d of %d", got, limit)
		}
		for _, number := range []int{many, each, procs * each} {
			if !strings.Contains(said.String(), grouped(number)) {
				t.Errorf("no %d in %q", number, said.String())
			}
		}
	}
}

// badServer accepts connections and does with each what f does.
func badServer(t *testing.T, f func(*engine.Conn)) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		f(conn)
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// echoing echoes what change makes of each message, until the connection ends.
func echoing(conn *engine.Conn, change func(op engine.Opcode, msg []byte) engine.Opcode) {
	for {
		op, msg, err := conn.RecvMessage(nil)
		if err != nil {
			return
		}
		conn.SendFrame(change(op, msg), true, msg)
	}
}

func TestFanoutCountsFailuresByKind(t *testing.T) {
	teapot := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	}))
	defer teapot.Close()
	same := func(op engine.Opcode, _ []byte) engine.Opcode { return op }

	for kind, url := range map[string]string{
		"handshake status 418": "ws" + strings.TrimPrefix(teapot.URL, "http"),
		"dial refused":         nobody,
		"TLS":                  "wss" + strings.TrimPrefix(teapot.URL, "http"),
		"connection lost": badServer(t, func(conn *engine.Conn) {
			conn.RecvMessage(nil)
			conn.SetSendDeadline(time.Unix(1, 0)) // so that no close frame leaves
			conn.SendText(nil)
		}),
		"close code 4321": badServer(t, func(conn *engine.Conn) {
			conn.RecvMessage(nil)
			conn.CloseWith(4321, "")
		}),
		"payload mismatch": badServer(t, func(conn *engine.Conn) {
			echoing(conn, func(op engine.Opcode, msg []byte) engine.Opcode {
				msg[len(msg)-1]++
				return op
			})
		}),
		"unexpected message": badServer(t, func(conn *engine.Conn) {
			conn.SendText([]byte("welcome"))
			echoing(conn, same)
		}),
		"limit exceeded": badServer(t, func(conn *engine.Conn) {
			conn.SendBinary(make([]byte, engine.DefaultMessageSize+1))
		}),
		"echo timeout": badServer(t, func(conn *engine.Conn) {
			for {
				if _, _, err := conn.RecvMessage(nil); err != nil {
					return
				}
			}
		}),
	} {
		t.Run(kind, func(t *testing.T) {
			r, got := fanoutReport(t, "-url", url, "-n", "3", "-duration", "100ms", "-timeout", "300ms")
			if got.code != 1 || r.Errors[kind] != 3 || len(r.Errors) != 1 || r.ErrorsTotal != 3 {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestFanoutTellsAnotherOpcodeFromAnEcho(t *testing.T) {
	url := badServer(t, func(conn *engine.Conn) {
		echoing(conn, func(engine.Opcode, []byte) engine.Opcode { return engine.OpText })
	})
	r, got := fanoutReport(t, "-url", url, "-n", "1", "-size", "4", "-duration", "100ms")
	if got.code != 1 || r.Errors["payload mismatch"] != 1 {
		t.Errorf("%+v", got)
	}
}

func TestFanoutReconnects(t *testing.T) {
	var mu sync.Mutex
	accepted := 0
	url := badServer(t, func(conn *engine.Conn) {
		mu.Lock()
		accepted++
		first := accepted <= 3
		mu.Unlock()
		if first {
			conn.RecvMessage(nil)
			conn.CloseWith(4000, "")
			return
		}
		echoing(conn, func(op engine.Opcode, _ []byte) engine.Opcode { return op })
	})
	r, got := fanoutReport(t, "-url", url, "-n", "3", "-reconnect", "-duration", "2s")
	if got.code != 1 || r.Reconnects != 3 || r.Errors["close code 4000"] != 3 || r.ErrorsTotal != 3 || r.Received == 0 {
		t.Errorf("%+v %+v", got, r)
	}
	if lost := r.Sent - r.Received; lost != 3 {
		t.Errorf("%d messages were lost, those that were in flight", lost)
	}
}

func TestFanoutTriesAgainOnlyIfItIsToldTo(t *testing.T) {
	var tries atomic.Int32
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tries.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer busy.Close()
	url := "ws" + strings.TrimPrefix(busy.URL, "http")
	r, _ := fanoutReport(t, "-url", url, "-n", "1", "-duration", "3s")
	if tries.Load() != 1 || r.ErrorsTotal != 1 || r.Seconds > 1 {
		t.Errorf("%d tries, %+v", tries.Load(), r)
	}
	r, _ = fanoutReport(t, "-url", url, "-n", "1", "-duration", "3s", "-reconnect")
	if tries.Load() < 3 || r.Errors["handshake status 503"] != int64(tries.Load())-1 {
		t.Errorf("%d tries, %+v", tries.Load(), r)
	}
}

func TestFanoutGoesThroughAProxy(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.RequestURI != "feed.example:80" {
			t.Errorf("%s %s", r.Method, r.RequestURI)
		}
		http.Error(w, "no", http.StatusBadGateway)
	}))
	defer proxy.Close()
	r, got := fanoutReport(t, "-url", "ws://feed.example/", "-n", "2", "-proxy", proxy.URL)
	if got.code != 1 || r.Errors["proxy failed"] != 2 {
		t.Errorf("%+v %+v", got, r)
	}
}

func TestFanoutOfSeveralProcesses(t *testing.T) {
	url, _ := serving(t)
	for _, test := range []struct {
		args []string
		urls int
	}{
		{nil, 3}, // each has a server of its own
		{[]string{"-tls", "-text"}, 3},
		{[]string{"-url", url, "-window", "4", "-rate", "1000"}, 1},
	} {
		args := append([]string{"-procs", "3", "-n", "20", "-duration", "300ms"}, test.args...)
		r, got := fanoutReport(t, args...)
		if got.code != 0 || got.err != "" {
			t.Errorf("%v: %+v", test.args, got)
		}
		if r.Processes != 3 || r.Connections != 20 || r.Sent != r.Received || r.Sent < 20 || len(r.URLs) != test.urls {
			t.Errorf("%v: %+v", test.args, r)
		}
		if r.Latency.Max == 0 || r.CPUPerMessage == 0 || r.Resident == 0 || r.Seconds < 0.3 {
			t.Errorf("%v: %+v", test.args, r)
		}
	}
}

func TestProcessesCountTheirFailuresTogether(t *testing.T) {
	got := command(t.Context(), "", "fanout", "-procs", "2", "-n", "5", "-url", nobody)
	if got.code != 1 || !strings.Contains(got.out, "5, first: websock: handshake with 127.0.0.1:") {
		t.Errorf("%+v", got)
	}
}

func TestInterruptEndsAllProcesses(t *testing.T) {
	url, _ := serving(t)
	for _, args := range [][]string{{"-duration", "1m"}, {"-rate", "1"}} {
		ctx := interruptedAfter(t, time.Second)
		args = append([]string{"fanout", "-url", url, "-procs", "2", "-n", "10"}, args...)
		if got := command(ctx, "", args...); got.code != 130 || !strings.Contains(got.out, "of 10") {
			t.Errorf("%+v", got)
		}
	}
}

func TestAProcessThatEndsTooEarlyIsNoticed(t *testing.T) {
	_, key := certificate(t)
	got := command(t.Context(), "", "fanout", "-procs", "2", "-ca", key, "-url", nobody)
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
		echoing(conn, func(op engine.Opcode, _ []byte) engine.Opcode { return op })
	}))
	defer server.Close()
	url := "ws" + strings.TrimPrefix(server.URL, "http")
	r, got := fanoutReport(t, "-url", url, "-n", "6", "-source", "127.0.0.1,127.0.0.2", "-source", "127.0.0.3", "-duration", "100ms")
	want := map[string]int{"127.0.0.1": 2, "127.0.0.2": 2, "127.0.0.3": 2}
	if got.code != 0 || !maps.Equal(from, want) || len(r.Sources) != 3 {
		t.Errorf("%v, %+v %+v", from, got, r)
	}
}

func TestFanoutFindsMisuseBeforeTheFirstAttempt(t *testing.T) {
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

func TestFanoutOpensItsReportFirst(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	defer server.Close()
	page := filepath.Join(t.TempDir(), "no", "such")
	got := command(t.Context(), "", "fanout", "-url", "ws"+strings.TrimPrefix(server.URL, "http"), "-n", "2", "-report", page)
	if got.code != 1 || got.out != "" || requests.Load() > 0 || !strings.Contains(got.err, page) {
		t.Errorf("%+v, %d requests", got, requests.Load())
	}
}

func TestFanoutReportsTheFirstErrorOfEachKindAsJSON(t *testing.T) {
	r, got := fanoutReport(t, "-n", "2", "-url", nobody)
	if first := r.FirstErrors["dial refused"]; got.code != 1 || !strings.Contains(first, "127.0.0.1:1") {
		t.Errorf("%+v", got)
	}
}

func TestFanoutTimesOutDialling(t *testing.T) {
	stop := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	defer silent.Close()
	defer close(stop)
	url := "ws" + strings.TrimPrefix(silent.URL, "http")
	r, got := fanoutReport(t, "-url", url, "-n", "2", "-timeout", "50ms")
	if got.code != 1 || r.Errors["dial timeout"] != 2 {
		t.Errorf("%+v", got)
	}
}

func TestTableNamesTheFirstErrorOfAKind(t *testing.T) {
	got := command(t.Context(), "", "fanout", "-n", "2", "-url", nobody)
	if got.code != 1 || !strings.Contains(got.out, "dial refused") || !strings.Contains(got.out, "2, first: websock: handshake with 127.0.0.1:") {
		t.Errorf("%+v", got)
	}
}

// nobody is the URL of a port that no test listens on.
const nobody = "ws://127.0.0.1:1/"

func TestInterruptEndsFanoutEarlyAndCleanly(t *testing.T) {
	url, _ := serving(t)
	ctx := interruptedAfter(t, 200*time.Millisecond)
	got := command(ctx, "", "fanout", "-url", url, "-n", "10", "-duration", "1m")
	if got.code != 130 || !strings.Contains(got.out, "of 10") {
		t.Errorf("%+v", got)
	}
}

func TestInterruptWhileDialling(t *testing.T) {
	url, _ := serving(t)
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
	var out, stderr buffer
	cmd := exec.Command(program, "fanout", "-n", "10", "-duration", "1m")
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	cmd.Process.Signal(os.Interrupt)
	// Wait returns once nobody has the standard error any more, the server
	// included.
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 130 || !strings.Contains(out.String(), "of 10") {
		t.Errorf("%v: %s %s", err, out.String(), stderr.String())
	}
}
