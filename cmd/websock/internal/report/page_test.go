package report

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

func TestPageOfAnEmptyReport(t *testing.T) {
	for _, test := range []struct {
		cluster *Cluster
		charts  int
	}{{nil, 4}, {&Cluster{}, 8}} {
		r := &Report{Cluster: test.cluster, result: measure.NewResult(), samples: []measure.Sample{{}}}
		if svgs, err := r.charts(); err != nil || len(svgs) != test.charts {
			t.Errorf("%d, %v", len(svgs), err)
		}
	}
}

func TestPageOfAMemberHasAllMembersAndWhatTheyHeld(t *testing.T) {
	r := &Report{
		Cluster: &Cluster{Status: twoMembers},
		result:  measure.NewResult(),
		samples: []measure.Sample{
			{At: 0, Snapshot: measure.Snapshot{Cluster: measure.ClusterCounts{Members: 1}}},
			{At: time.Second, Snapshot: measure.Snapshot{Cluster: measure.ClusterCounts{Members: 2, Held: 100, HeldByAll: 256, Up: 6000}}},
		},
	}
	var page bytes.Buffer
	if err := r.WritePage(&page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"<td>left-1 (leaving)</td>", "<td>right-2</td>", "Members of the cluster", "Keys connected", "Partitions held", "by all members", "Partitions moved, so far",
	} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("no %q", want)
		}
	}
}

func TestRoundUp(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		0: time.Microsecond, 1: time.Microsecond, time.Microsecond: time.Microsecond,
		3 * time.Microsecond: 5 * time.Microsecond, 11 * time.Millisecond: 20 * time.Millisecond,
		time.Minute: 100 * time.Second,
	} {
		if got := roundUp(d); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

func TestDistributionHasNoGaps(t *testing.T) {
	h := measure.NewHistogram()
	for _, d := range []time.Duration{30 * time.Microsecond, 50 * time.Microsecond, 400 * time.Microsecond} {
		h.Record(d)
	}
	bounds, counts := distribution(h)
	wantBounds := []time.Duration{50 * time.Microsecond, 100 * time.Microsecond, 200 * time.Microsecond, 500 * time.Microsecond}
	if wantCounts := []float64{2, 0, 0, 1}; !slices.Equal(bounds, wantBounds) || !slices.Equal(counts, wantCounts) {
		t.Errorf("%v %v", bounds, counts)
	}
	if bounds, counts := distribution(measure.NewHistogram()); len(bounds) != 1 || counts[0] != 0 {
		t.Errorf("of none: %v %v", bounds, counts)
	}
}
