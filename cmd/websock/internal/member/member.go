// Package member makes a load generator a member of a cluster: processes that share one set of
// connections.
package member

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/loadgen"
	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
	"github.com/seed004e8d11/websock/cmd/websock/internal/report"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/fanout/cluster"
)

// A Member generates load on the connections that the cluster gives to this process. It is a
// loadgen.Runner.
type Member struct {
	*loadgen.LoadGen
	options  cluster.Options
	keys     int
	leaving  time.Duration // at most
	report   *report.Cluster
	cluster  *cluster.Cluster
	stopPoll context.CancelFunc

	counts atomic.Pointer[func() measure.ClusterCounts] // nil: it has not joined yet
	status atomic.Pointer[cluster.Status]               // nil: none was read yet
}

// New returns a Member that has not joined yet. Of o, the Keys and Fanout are its own. leaving is how
// long Finish may take to hand over what the member holds. r gets what there is to say of the cluster.
func New(load loadgen.Config, o cluster.Options, leaving time.Duration, r *report.Cluster) *Member {
	m := &Member{options: o, keys: load.Connections, leaving: leaving, report: r}
	load.Reconnect, load.Share, load.NumberOf = true, m.join, numberOf
	m.LoadGen = loadgen.New(load)
	return m
}

// Keys are "conn-0", "conn-1" and so on.
const keyPrefix = "conn-"

func keyOf(number int) string { return keyPrefix + strconv.Itoa(number) }

func numberOf(s *fanout.Slot) int {
	number, _ := strconv.Atoi(strings.TrimPrefix(s.Key(), keyPrefix)) // the key is one of keyOf
	return number
}

// join joins the cluster, whose connections are used as o says.
func (m *Member) join(ctx context.Context, o fanout.Options) (group *fanout.Group, leave func(), err error) {
	keys := make([]string, m.keys)
	for i := range keys {
		keys[i] = keyOf(i)
	}
	m.options.Fanout, m.options.Keys = o, cluster.Static(keys...)
	if m.cluster, err = cluster.Start(ctx, m.options); err != nil {
		return nil, nil, err
	}
	m.report.Member = m.cluster.ID()
	counts := m.countsNow
	m.counts.Store(&counts)
	poll, stop := context.WithCancel(context.WithoutCancel(ctx))
	polled := make(chan struct{})
	go func() {
		defer close(polled)
		m.pollStatus(poll)
	}()
	m.stopPoll = func() {
		stop()
		<-polled
	}
	return m.cluster.Group(), m.leave, nil
}

// pollStatus reads the status of the cluster every second until ctx ends.
func (m *Member) pollStatus(ctx context.Context) {
	const interval = time.Second
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		m.readStatus(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// readStatus reads the status of the cluster. If it can't be read, that of before stays.
func (m *Member) readStatus(ctx context.Context) {
	const limit = 2 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if status, err := m.cluster.Status(ctx); err == nil {
		m.status.Store(&status)
	}
}

// Snapshot adds what the member knows of the cluster.
func (m *Member) Snapshot() measure.Snapshot {
	now := m.LoadGen.Snapshot()
	if counts := m.counts.Load(); counts != nil {
		now.Cluster = (*counts)()
	}
	return now
}

func (m *Member) countsNow() measure.ClusterCounts {
	stats := m.cluster.Stats()
	c := measure.ClusterCounts{
		Members:    int64(stats.Members),
		Held:       int64(stats.Held),
		TakenOver:  int64(stats.Claimed + stats.Received),
		HandedOver: int64(stats.HandedOver),
	}
	if status := m.status.Load(); status != nil {
		c.HeldByAll = int64(status.Partitions - stats.Free)
		for i := range status.Members {
			c.Up += int64(status.Members[i].Up)
		}
		c.Up = min(c.Up, int64(m.keys)) // they have told it at different times
	}
	return c
}

// Finish waits at most d for the answers in flight, and leaves the cluster.
func (m *Member) Finish(ctx context.Context, d time.Duration) (measure.Result, error) {
	m.stopPoll()
	m.readStatus(context.Background())
	m.report.Status = m.status.Load()
	before := m.cluster.Stats()
	result, err := m.LoadGen.Finish(ctx, d)
	after := m.cluster.Stats()
	after.Held = before.Held
	m.report.SetStats(&after)
	return result, err
}

// leave hands over what the member holds.
func (m *Member) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), m.leaving)
	defer cancel()
	begin := time.Now()
	err := m.cluster.Shutdown(ctx)
	m.report.Leaving, m.report.Left = time.Since(begin).Seconds(), err == nil
}
