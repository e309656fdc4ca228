package cluster

import (
	"errors"
	"testing"
)

func TestTheStatusSaysWhoHoldsWhat(t *testing.T) {
	s := newFeed(t)
	o := testOptions(s, keysUpTo(50)...)
	o.Dir = t.TempDir()
	if _, err := ReadStatus(t.Context(), Options{Dir: o.Dir}); !errors.Is(err, ErrNoCluster) {
		t.Errorf("without a server, ReadStatus returned %v", err)
	}
	a := startMember(t, named(o, "a"))
	b := startMember(t, named(o, "b"))
	wait(t, a, b)
	if _, err := ReadStatus(t.Context(), Options{Dir: o.Dir, Name: "other"}); !errors.Is(err, ErrNoCluster) {
		t.Errorf("without a cluster of this name, ReadStatus returned %v", err)
	}
	var status Status
	waitUntil(t, "all keys are reported", func() bool {
		var err error
		if status, err = ReadStatus(t.Context(), Options{Dir: o.Dir}); err != nil {
			t.Fatal(err)
		}
		return len(status.Members) == 2 && status.Members[0].Up+status.Members[1].Up == 50
	})
	first, second := status.Members[0], status.Members[1]
	if status.Partitions != 16 || status.Lease != o.Lease || status.Free != 0 || status.Moving != 0 {
		t.Errorf("the status is %+v", status)
	}
	if first.ID != a.ID() || second.ID != b.ID() || first.Partitions+second.Partitions != 16 || second.Partitions == 0 {
		t.Errorf("the members are %+v", status.Members)
	}
	if other, err := a.Status(t.Context()); err != nil || len(other.Members) != 2 {
		t.Errorf("Cluster.Status returned %+v, %v", other, err)
	}
}
