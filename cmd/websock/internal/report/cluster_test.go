package report

import (
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/fanout/cluster"
)

// twoMembers is the state of a cluster of which one member leaves.
var twoMembers = &cluster.Status{
	Name: "feed", Partitions: 256, Lease: 10 * time.Second, Free: 3, Moving: 150,
	Members: []cluster.MemberStatus{
		{ID: "left-1", Weight: 1, Leaving: true, Partitions: 100, Keys: 2000, Up: 1999, Opened: 2100, Moves: 7, Rate: 500},
		{ID: "right-2", Weight: 1.5, Partitions: 153, Keys: 4000, Up: 4000, Opened: 4000, Losses: 1, Rate: 500, Wants: []int{1, 2}},
	},
}

func TestStatusOfAClusterAsATable(t *testing.T) {
	var out strings.Builder
	if err := WriteClusterStatus(&out, twoMembers); err != nil {
		t.Fatal(err)
	}
	want := `cluster feed: 2 members, 5,999 of 6,000 keys up, 256 partitions, 3 of them held by nobody, 150 to move, lease 10s
member             weight   partitions   wants   keys    up      rate    opened   moves   losses
left-1 (leaving)   1        100          0       2,000   1,999   500/s   2,100    7       0
right-2            1.5      153          2       4,000   4,000   500/s   4,000    0       1
`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}

func TestAMemberSucceedsIfItKeptItsSessionAndLeftInOrder(t *testing.T) {
	for _, test := range []struct {
		cluster Cluster
		want    bool
	}{
		{Cluster{Left: true}, true},
		{Cluster{Left: true, Losses: 1}, false},
		{Cluster{}, false},
	} {
		r := &Report{Cluster: &test.cluster}
		if got := r.Succeeded(); got != test.want {
			t.Errorf("%+v: %v", test.cluster, got)
		}
	}
}
