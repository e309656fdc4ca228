package prom_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/fanout/cluster"
	"github.com/seed004e8d11/websock/fanout/cluster/prom"
)

// silentServer keeps connections open.
func silentServer() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		websock.Accept(w, r, &websock.AcceptOptions{Handler: websock.Messages(nil, nil)})
	}))
}

func TestMetricsAreTheStatsOfTheMember(t *testing.T) {
	server := silentServer()
	defer server.Close()
	c, err := cluster.Start(t.Context(), cluster.Options{
		Keys:       cluster.Static("a", "b", "c"),
		Fanout:     fanout.Options{Targets: fanout.URLs("ws" + strings.TrimPrefix(server.URL, "http"))},
		Dir:        t.TempDir(),
		Partitions: 8,
		Lease:      2 * time.Minute, // a renewal fails if it takes a fifth of it
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := c.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	}()
	p := prom.NewCollector(c, prometheus.Labels{"feed": "test"})
	if problems, err := testutil.CollectAndLint(p); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if s := c.Stats(); s.Held == 8 && s.Untried == 0 && s.Takeover.Count == 8 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%+v", c.Stats())
		}
	}
	want := `
# HELP websock_cluster_keys Keys that the member keeps connected, by whether they have been tried.
# TYPE websock_cluster_keys gauge
websock_cluster_keys{feed="test",state="tried"} 3
websock_cluster_keys{feed="test",state="untried"} 0
# HELP websock_cluster_members Members that this one knows of, itself among them.
# TYPE websock_cluster_members gauge
websock_cluster_members{feed="test"} 1
# HELP websock_cluster_moves_total Partitions that nobody held and the member has claimed, that it received from other members, and that it handed over to them.
# TYPE websock_cluster_moves_total counter
websock_cluster_moves_total{feed="test",kind="claimed"} 8
websock_cluster_moves_total{feed="test",kind="handed_over"} 0
websock_cluster_moves_total{feed="test",kind="received"} 0
# HELP websock_cluster_partitions Partitions of the member, by whether they stay or are coming or going.
# TYPE websock_cluster_partitions gauge
websock_cluster_partitions{feed="test",state="held"} 8
websock_cluster_partitions{feed="test",state="moving"} 0
# HELP websock_cluster_renewal_failures_total Renewals of the lease that NATS has refused or not answered.
# TYPE websock_cluster_renewal_failures_total counter
websock_cluster_renewal_failures_total{feed="test"} 0
# HELP websock_cluster_sessions_lost_total Sessions that the member has lost, with all of its connections.
# TYPE websock_cluster_sessions_lost_total counter
websock_cluster_sessions_lost_total{feed="test"} 0
# HELP websock_cluster_state 1 for what the member is doing now.
# TYPE websock_cluster_state gauge
websock_cluster_state{feed="test",state="live"} 1
`
	if err := testutil.CollectAndCompare(p, strings.NewReader(want), "websock_cluster_keys", "websock_cluster_members",
		"websock_cluster_moves_total", "websock_cluster_partitions", "websock_cluster_renewal_failures_total", "websock_cluster_sessions_lost_total", "websock_cluster_state"); err != nil {
		t.Error(err)
	}
}

func ExampleNewCollector() {
	server := silentServer()
	defer server.Close()
	dir, err := os.MkdirTemp("", "cluster")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	c, err := cluster.Start(ctx, cluster.Options{
		Keys:   cluster.Static("EUR/USD", "EUR/CHF"),
		Fanout: fanout.Options{Targets: fanout.URLs("ws" + strings.TrimPrefix(server.URL, "http"))},
		Dir:    dir, // the default is one for all members on a machine
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Shutdown(ctx)

	registry := prometheus.NewRegistry()
	registry.MustRegister(prom.NewCollector(c, prometheus.Labels{"feed": "trades"}))
	fmt.Println(testutil.GatherAndCount(registry, "websock_cluster_partitions"))
	// Output: 2 <nil>
}
