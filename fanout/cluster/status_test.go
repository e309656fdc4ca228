package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/machine"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
)

// statusOf reads the status of a cluster, as soon as NATS lets it in.
func statusOf(t *testing.T, o Options) (s Status) {
	t.Helper()
	waitUntil(t, "the status can be read", func() bool {
		var err error
		if s, err = ReadStatus(inTime(t), o); err != nil {
			t.Log(err)
		}
		return err == nil
	})
	return s
}

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
	if _, err := ReadStatus(inTime(t), Options{Dir: o.Dir, Name: "other"}); !errors.Is(err, ErrNoCluster) {
		t.Errorf("without a cluster of this name, ReadStatus returned %v", err)
	}
	var status Status
	waitUntil(t, "all keys are reported, and no moves", func() bool {
		status = statusOf(t, Options{Dir: o.Dir})
		return len(status.Members) == 2 && status.Members[0].Up+status.Members[1].Up == 50 && status.Moving == 0
	})
	first, second := status.Members[0], status.Members[1]
	if status.Partitions != testPartitions || status.Lease != o.Lease || status.Free != 0 {
		t.Errorf("the status is %+v", status)
	}
	if first.ID != a.ID() || second.ID != b.ID() || first.Partitions+second.Partitions != testPartitions || second.Partitions == 0 {
		t.Errorf("the members are %+v", status.Members)
	}
	if other, err := a.Status(inTime(t)); err != nil || len(other.Members) != 2 {
		t.Errorf("Cluster.Status returned %+v, %v", other, err)
	}
}

func TestTheStatusIsFoundWherePeersHaveTheirDirectories(t *testing.T) {
	o := testOptions(newFeed(t), "a")
	parent := t.TempDir()
	o.Dir = filepath.Join(parent, "127.0.0.1_7201")
	m := startMember(t, o)
	if status := statusOf(t, Options{Dir: parent}); len(status.Members) != 1 || status.Members[0].ID != m.ID() {
		t.Errorf("ReadStatus returned %+v", status)
	}
}

func TestTheStatusInADirectoryOfAnotherUserIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "token"), 0o700); err != nil { // as unreadable as that of another user
		t.Fatal(err)
	}
	if _, err := ReadStatus(t.Context(), Options{Dir: dir}); err == nil || errors.Is(err, ErrNoCluster) || !strings.Contains(err.Error(), dir) {
		t.Errorf("ReadStatus returned %v", err)
	}
}

func TestTheDefaultDirectoryOfAPeerIsItsOwn(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	o := Options{Name: "feeds", Peers: []string{"127.0.0.1:7201"}, ClusterListen: "127.0.0.1:7201"}
	dir, err := o.defaultDir()
	if err != nil || filepath.Base(dir) != "127.0.0.1_7201" || filepath.Base(filepath.Dir(dir)) != "feeds" {
		t.Errorf("defaultDir returned %q, %v", dir, err)
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
