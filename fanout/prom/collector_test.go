package prom_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/fanout/prom"
)

// echoServer sends back every message, and answers requests of one path with status 403.
func echoServer() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/forbidden" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		websock.Accept(w, r, &websock.AcceptOptions{
			Handler: websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) { c.SendFrame(op, true, msg) }, nil),
		})
	}))
}

func start(t testing.TB, urls ...string) *fanout.Group {
	g, err := fanout.Start(fanout.Options{Targets: fanout.URLs(urls...), Ping: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := g.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return g
}

func TestMetricsAreTheStatsOfTheGroup(t *testing.T) {
	server := echoServer()
	defer server.Close()
	url := "ws" + strings.TrimPrefix(server.URL, "http")
	g := start(t, url, url, url+"/forbidden")
	c := prom.NewCollector(g, prometheus.Labels{"feed": "test"})
	if problems, err := testutil.CollectAndLint(c); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	if err := g.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.Slot(0).Subscribe("a")
	g.Slot(0).Subscribe("b")
	g.Slot(2).Subscribe("b") // it has stopped
	g.Publish("b", websock.OpText, []byte("1234567"))
	g.Broadcast(websock.OpText, []byte("12345"))
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if s := g.Stats(); s.Traffic.MessagesReceived == 3 && s.RoundTrip.Count > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%+v", g.Stats())
		}
	}
	want := `
# HELP websock_fanout_slots Slots by what they are doing; ending: those that were removed and have not ended.
# TYPE websock_fanout_slots gauge
websock_fanout_slots{feed="test",state="connecting"} 0
websock_fanout_slots{feed="test",state="ending"} 0
websock_fanout_slots{feed="test",state="stopped"} 1
websock_fanout_slots{feed="test",state="up"} 2
websock_fanout_slots{feed="test",state="waiting"} 0
# HELP websock_fanout_ready_total Connections that came up, OnConnect included.
# TYPE websock_fanout_ready_total counter
websock_fanout_ready_total{feed="test"} 2
# HELP websock_fanout_failed_total Attempts that failed, by reason.
# TYPE websock_fanout_failed_total counter
websock_fanout_failed_total{feed="test",reason="status"} 1
# HELP websock_fanout_messages_total Messages sent and received.
# TYPE websock_fanout_messages_total counter
websock_fanout_messages_total{direction="received",feed="test"} 3
websock_fanout_messages_total{direction="sent",feed="test"} 3
# HELP websock_fanout_payload_bytes_total Payload of data frames sent and received.
# TYPE websock_fanout_payload_bytes_total counter
websock_fanout_payload_bytes_total{direction="received",feed="test"} 17
websock_fanout_payload_bytes_total{direction="sent",feed="test"} 17
# HELP websock_fanout_topics Topics to which slots are subscribed.
# TYPE websock_fanout_topics gauge
websock_fanout_topics{feed="test"} 2
# HELP websock_fanout_subscriptions Subscriptions of all slots to all topics.
# TYPE websock_fanout_subscriptions gauge
websock_fanout_subscriptions{feed="test"} 3
# HELP websock_fanout_broadcasts_total Messages sent to all slots or to those that a function chose.
# TYPE websock_fanout_broadcasts_total counter
websock_fanout_broadcasts_total{feed="test"} 1
# HELP websock_fanout_publishes_total Messages published to a topic.
# TYPE websock_fanout_publishes_total counter
websock_fanout_publishes_total{feed="test"} 1
# HELP websock_fanout_broadcast_passed_over_total Slots that broadcasts and publishes passed over, by reason.
# TYPE websock_fanout_broadcast_passed_over_total counter
websock_fanout_broadcast_passed_over_total{feed="test",reason="down"} 2
websock_fanout_broadcast_passed_over_total{feed="test",reason="refused"} 0
`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), "websock_fanout_slots", "websock_fanout_ready_total",
		"websock_fanout_failed_total", "websock_fanout_messages_total", "websock_fanout_payload_bytes_total",
		"websock_fanout_topics", "websock_fanout_subscriptions", "websock_fanout_broadcasts_total", "websock_fanout_publishes_total",
		"websock_fanout_broadcast_passed_over_total"); err != nil {
		t.Error(err)
	}
}

func TestMetricsOfAMux(t *testing.T) {
	server := echoServer()
	defer server.Close()
	over := httptest.NewUnstartedServer(server.Config.Handler)
	if err := websock.ConfigureServer(over.Config); err != nil {
		t.Fatal(err)
	}
	over.TLS = over.Config.TLSConfig
	over.StartTLS()
	defer over.Close()
	m := &websock.Mux{StreamsPerConn: 4, MaxConns: 2}
	defer m.Close()
	g, err := fanout.Start(fanout.Options{
		Targets: []fanout.Target{{
			URL:    "wss" + strings.TrimPrefix(over.URL, "https"),
			Config: websock.Config{Mux: m, Timeout: time.Hour, TLS: over.Client().Transport.(*http.Transport).TLSClientConfig},
		}},
		Size: 9,
		Pace: fanout.Pace{Rate: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Shutdown(t.Context())
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if s := g.Stats(); s.Up == 8 && s.Mux.Waiting == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%+v", g.Stats())
		}
	}
	want := `
# HELP websock_fanout_http2_connections HTTP/2 connections of all Muxes, by what they are doing.
# TYPE websock_fanout_http2_connections gauge
websock_fanout_http2_connections{state="dialing"} 0
websock_fanout_http2_connections{state="open"} 2
# HELP websock_fanout_http2_streams WebSockets that are open on them, or being opened.
# TYPE websock_fanout_http2_streams gauge
websock_fanout_http2_streams 8
# HELP websock_fanout_http2_waiting Attempts that wait until a Mux has a free stream.
# TYPE websock_fanout_http2_waiting gauge
websock_fanout_http2_waiting 1
`
	if err := testutil.CollectAndCompare(prom.NewCollector(g, nil), strings.NewReader(want),
		"websock_fanout_http2_connections", "websock_fanout_http2_streams", "websock_fanout_http2_waiting"); err != nil {
		t.Error(err)
	}
}

func TestHistogramsAreCumulative(t *testing.T) {
	server := echoServer()
	defer server.Close()
	url := "ws" + strings.TrimPrefix(server.URL, "http")
	g := start(t, url, url, url)
	if err := g.WaitUp(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(prom.NewCollector(g, nil))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "websock_fanout_handshake_seconds" {
			continue
		}
		h, s := f.Metric[0].Histogram, g.Stats().Handshake
		last := h.Bucket[len(h.Bucket)-1]
		if h.GetSampleCount() != 3 || h.GetSampleSum() != s.Sum.Seconds() || last.GetCumulativeCount() != 3 {
			t.Errorf("%v", h)
		}
		if first := h.Bucket[0]; first.GetUpperBound() != 64e-6 || last.GetUpperBound() < 60 {
			t.Errorf("%v", h.Bucket)
		}
		return
	}
	t.Error("there is no such histogram")
}

func ExampleNewCollector() {
	server := echoServer()
	defer server.Close()
	g, err := fanout.Start(fanout.Options{Targets: fanout.URLs("ws" + strings.TrimPrefix(server.URL, "http"))})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	defer g.Shutdown(ctx)
	g.WaitUp(ctx, 1)

	registry := prometheus.NewRegistry()
	registry.MustRegister(prom.NewCollector(g, prometheus.Labels{"feed": "trades"}))
	fmt.Println(testutil.GatherAndCount(registry, "websock_fanout_slots"))
	// Output: 5 <nil>
}
