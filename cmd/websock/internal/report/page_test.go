package report

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestPageOfAnEmptyReport(t *testing.T) {
	for _, test := range []struct {
		cluster *Cluster
		charts  int
	}{{nil, 4}, {&Cluster{}, 8}} {
		r := &Report{Cluster: test.cluster, latencies: NewHistogram(), samples: []Sample{{}}}
		if svgs, err := r.charts(); err != nil || len(svgs) != test.charts {
			t.Errorf("%d, %v", len(svgs), err)
		}
	}
}

func TestPageOfAMemberHasAllMembersAndWhatTheyHeld(t *testing.T) {
	r := &Report{
		Cluster:   &Cluster{Status: twoMembers},
		latencies: NewHistogram(),
		samples: []Sample{
			{0, Snapshot{Cluster: ClusterCounts{Members: 1}}},
			{time.Second, Snapshot{Cluster: ClusterCounts{Members: 2, Held: 100, HeldByAll: 256, Up: 6000}}},
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
