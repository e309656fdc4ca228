package prom

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
	"github.com/seed004e8d11/websock/internal/leak"
)

func TestMain(m *testing.M) { leak.VerifyTestMain(m) }

// exampleSnapshot returns one in which every number differs.
func exampleSnapshot() measure.Snapshot {
	h := measure.NewHistogram()
	for _, d := range []time.Duration{time.Microsecond, 40 * time.Microsecond, 40 * time.Microsecond, 100 * time.Microsecond, time.Minute} {
		h.Record(d)
	}
	return measure.Snapshot{
		Phase: "exchanging", Asked: 1, Waiting: 2, Connecting: 3, Up: 4, Ended: 5, Sessions: 6, Streams: 7, Attempts: 8,
		Due: 9, Unsent: 10, Sent: 11, Awaited: 12, Answered: 13, Received: 14, SentBytes: 15, ReceivedBytes: 16,
		Errors: 17, ErrorsByKind: map[string]int64{"TLS": 1, "dial refused": 16}, Reconnects: 18, Latency: h.Buckets(),
	}
}

func TestMetricsAreTheSnapshot(t *testing.T) {
	c := newCollector(exampleSnapshot)
	if problems, err := testutil.CollectAndLint(c); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	want := `
# HELP websock_load_phase 1 for what the run does now.
# TYPE websock_load_phase gauge
websock_load_phase{phase="exchanging"} 1
# HELP websock_load_asked_connections Connections that there should be now, in any state.
# TYPE websock_load_asked_connections gauge
websock_load_asked_connections 1
# HELP websock_load_connections Connections by state; ended: failed or lost, and not dialed again.
# TYPE websock_load_connections gauge
websock_load_connections{state="waiting"} 2
websock_load_connections{state="connecting"} 3
websock_load_connections{state="up"} 4
websock_load_connections{state="ended"} 5
# HELP websock_load_http2_connections HTTP/2 connections.
# TYPE websock_load_http2_connections gauge
websock_load_http2_connections 6
# HELP websock_load_http2_streams WebSockets on them.
# TYPE websock_load_http2_streams gauge
websock_load_http2_streams 7
# HELP websock_load_attempts_total Attempts to connect that have ended.
# TYPE websock_load_attempts_total counter
websock_load_attempts_total 8
# HELP websock_load_due_messages_total Messages that a schedule wanted sent by now.
# TYPE websock_load_due_messages_total counter
websock_load_due_messages_total 9
# HELP websock_load_unsent_messages_total Of these, messages that will never be sent.
# TYPE websock_load_unsent_messages_total counter
websock_load_unsent_messages_total 10
# HELP websock_load_messages_total Messages sent and received.
# TYPE websock_load_messages_total counter
websock_load_messages_total{direction="sent"} 11
websock_load_messages_total{direction="received"} 14
# HELP websock_load_awaited_messages_total Messages sent that want an answer.
# TYPE websock_load_awaited_messages_total counter
websock_load_awaited_messages_total 12
# HELP websock_load_answered_messages_total Of these, messages that got it.
# TYPE websock_load_answered_messages_total counter
websock_load_answered_messages_total 13
# HELP websock_load_payload_bytes_total Payload of messages sent and received.
# TYPE websock_load_payload_bytes_total counter
websock_load_payload_bytes_total{direction="sent"} 15
websock_load_payload_bytes_total{direction="received"} 16
# HELP websock_load_errors_total Failures, by kind.
# TYPE websock_load_errors_total counter
websock_load_errors_total{kind="TLS"} 1
websock_load_errors_total{kind="dial refused"} 16
# HELP websock_load_reconnects_total Connections that replaced one that was lost.
# TYPE websock_load_reconnects_total counter
websock_load_reconnects_total 18
`
	var names []string
	for line := range strings.Lines(want) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[1] == "TYPE" {
			names = append(names, fields[2])
		}
	}
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func TestHistogramsHaveTheSameBucketsAtAllTimes(t *testing.T) {
	for _, snapshot := range []func() measure.Snapshot{exampleSnapshot, func() measure.Snapshot { return measure.Snapshot{} }} {
		text := scrape(t, snapshot)
		if n := strings.Count(text, "websock_load_latency_seconds_bucket{"); n != len(bounds)+1 {
			t.Errorf("%d buckets", n)
		}
	}
	text := scrape(t, exampleSnapshot)
	for bound, n := range map[string]int{"3.2e-05": 1, "4.8e-05": 3, "9.6e-05": 3, "0.000128": 4, "33.554432": 4, "+Inf": 5} {
		if want := `websock_load_latency_seconds_bucket{le="` + bound + `"} ` + strconv.Itoa(n) + "\n"; !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if !strings.Contains(text, "websock_load_latency_seconds_count 5\n") {
		t.Error("no count")
	}
	if !strings.Contains(text, "go_goroutines ") || !strings.Contains(text, "websock_load_one_way_seconds_count 0\n") {
		t.Error(text)
	}
}

func TestAPhaseThatIsNotUTF8(t *testing.T) {
	if text := scrape(t, func() measure.Snapshot { return measure.Snapshot{Phase: "r\xe4mp \"up\"\n"} }); !strings.Contains(text, `websock_load_phase{phase="r?mp \"up\"\n"} 1`) {
		t.Error(text)
	}
}

func TestClientsTakeFewOpenFiles(t *testing.T) {
	e, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.Serve(exampleSnapshot)
	answered := make(chan bool, 2*maxConnections)
	for range 2 * maxConnections {
		conn, err := net.Dial("tcp", e.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go func() {
			io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			_, err := conn.Read(make([]byte, 1))
			answered <- err == nil
		}()
	}
	for range maxConnections {
		if !<-answered {
			t.Error("a connection ended")
		}
	}
	select {
	case <-answered:
		t.Error("more connections are served")
	case <-time.After(50 * time.Millisecond):
	}
}

// scrape returns the metrics that an Endpoint serves.
func scrape(t *testing.T, snapshot func() measure.Snapshot) string {
	e, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	defer http.DefaultClient.CloseIdleConnections()
	e.Serve(snapshot)
	response, err := http.Get(e.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", response.Status, err)
	}
	return string(text)
}

func TestACloseOfAnEndpointEndsItsListener(t *testing.T) {
	for _, serve := range []bool{false, true} {
		e, err := Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if serve {
			e.Serve(exampleSnapshot)
		}
		if _, err := Listen(e.listener.Addr().String()); err == nil {
			t.Error("two listen at one address")
		}
		e.Close()
		if _, err := e.listener.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("serving %v: %v", serve, err)
		}
	}
}

func TestOtherPathsSayWhereTheMetricsAre(t *testing.T) {
	e, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	defer http.DefaultClient.CloseIdleConnections()
	e.Serve(exampleSnapshot)
	root := strings.TrimSuffix(e.URL(), Path)
	for path, status := range map[string]int{"/": http.StatusOK, "/other": http.StatusNotFound} {
		response, err := http.Get(root + path)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != status || status == http.StatusOK && !strings.Contains(string(text), Path) {
			t.Errorf("%s: %s %s", path, response.Status, text)
		}
	}
}
