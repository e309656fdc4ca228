package prom_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/fanout/prom"
	"github.com/seed004e8d11/websock/internal/loopback"
)

func TestMetricsOfTargets(t *testing.T) {
	server := echoServer()
	defer server.Close()
	works := strings.TrimPrefix(server.URL, "http://")
	broken := loopback.Addresses(t, 1)[0]
	g, err := fanout.Start(fanout.Options{
		Targets:  fanout.URLs("ws://"+works, "ws://"+broken),
		Size:     4,
		Backoff:  fanout.Backoff{Base: time.Millisecond},
		Failover: &fanout.Failover{Failures: 1, Avoid: time.Hour, AvoidMax: time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Shutdown(context.Background())
	own, err := g.Add("own", fanout.SlotOptions{Targets: fanout.URLs("ws://" + works)})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.WaitUp(t.Context(), 5); err != nil {
		t.Fatal(err, own.Err())
	}
	c := prom.NewTargetCollector(g, prometheus.Labels{"feed": "test"})
	if problems, err := testutil.CollectAndLint(c); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	if err := testutil.CollectAndCompare(c, strings.NewReader(fmt.Sprintf(`
# HELP websock_fanout_target_healthy 1, or 0 from a number of failures in a row until an attempt has succeeded.
# TYPE websock_fanout_target_healthy gauge
websock_fanout_target_healthy{feed="test",host="%[1]s",source="",target="0"} 1
websock_fanout_target_healthy{feed="test",host="%[2]s",source="",target="1"} 0
websock_fanout_target_healthy{feed="test",host="%[1]s",source="",target=""} 1
# HELP websock_fanout_target_slots_up Slots whose connection is to the target.
# TYPE websock_fanout_target_slots_up gauge
websock_fanout_target_slots_up{feed="test",host="%[1]s",source="",target="0"} 4
websock_fanout_target_slots_up{feed="test",host="%[2]s",source="",target="1"} 0
websock_fanout_target_slots_up{feed="test",host="%[1]s",source="",target=""} 1
`, works, broken)), "websock_fanout_target_healthy", "websock_fanout_target_slots_up"); err != nil {
		t.Error(err)
	}
	if n := g.Targets()[1].Failed; n == 0 {
		t.Error("no failure is counted")
	}
}
