package cluster

import (
	"errors"
	"testing"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/machine"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
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

func TestAMemberWhoseSessionHasEndedIsNoMember(t *testing.T) {
	r := recordReader{members: map[string]*MemberStatus{}, partitions: map[int]machine.Partition{}}
	for key, value := range map[string]string{
		"config":   `{"version":1,"partitions":2,"lease":1000000000}`,
		"member.a": `{"session":5,"weight":1}`,
		"member.b": `{"session":6,"dead":true}`,
		"part.0":   `{"member":"a","session":5}`,
		"part.1":   `{"member":"b","session":6}`,
	} {
		r.read(store.Update{Key: key, Value: []byte(value), Revision: 9})
	}
	s, err := r.status("test")
	if err != nil || len(s.Members) != 1 || s.Members[0].ID != "a" || s.Members[0].Partitions != 1 || s.Free != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}
