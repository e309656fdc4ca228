package machine

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/assign"
)

// large returns a rig whose member is one of 50 that share 4096 partitions.
func large(b *testing.B) (m *Machine, revision uint64) {
	r := &rig{t: b, m: New(Settings{ID: "a", Weight: 1, Partitions: 4096, Lease: rigLease, Margin: rigMargin, Rate: 1e6}), now: time.Hour, records: map[string]Record{}}
	candidates := []assign.Candidate{{ID: "a", Weight: 1 << 16}}
	for i := range 49 {
		id := fmt.Sprint("m", i)
		candidates = append(candidates, assign.Candidate{ID: id, Weight: 1 << 16})
		r.put(memberPrefix+id, `{"weight":1,"n":1}`)
	}
	for p := range 4096 {
		if owner := assign.Owner(p, candidates); owner != "a" {
			r.put(partKeyOf(p), Partition{Member: owner, Session: r.records[memberPrefix+owner].Revision})
		}
	}
	r.snapshot()
	for i := range 49 {
		id := fmt.Sprint("m", i)
		key := memberPrefix + id
		r.put(key, fmt.Sprintf(`{"session":%d,"weight":1,"n":2,"knows":[%d]}`, i+1, r.m.own.session))
	}
	r.pass(2 * time.Second)
	if r.m.state != Live || r.m.parts.count[Held] < 40 {
		b.Fatalf("it is %v and holds %d", r.m.state, r.m.parts.count[Held])
	}
	return r.m, r.revision
}

func BenchmarkARenewalOfAnotherMember(b *testing.B) {
	m, revision := large(b)
	value := fmt.Appendf(nil, `{"session":1,"weight":1,"n":2,"knows":[%d],"report":{"keys":20000,"up":20000,"opened":123456,"rate":20,"moves":1,"losses":0}}`, m.own.session)
	for b.Loop() {
		revision++
		m.Watched(m.now, Record{Key: "member.m0", Value: value, Revision: revision})
		m.Next()
	}
}

func BenchmarkAMoveBetweenOthers(b *testing.B) {
	m, revision := large(b)
	p := 0
	for m.owners.Owner(p) == "a" {
		p++
	}
	value := []byte(`{"member":"m0","session":1}`)
	for b.Loop() {
		revision++
		m.Watched(m.now, Record{Key: partKeyOf(p), Value: value, Revision: revision})
		m.Next()
	}
}

func BenchmarkAJoinAndAnEnd(b *testing.B) {
	m, revision := large(b)
	for b.Loop() {
		revision++
		m.Watched(m.now, Record{Key: "member.new", Value: []byte(`{"weight":1,"n":1}`), Revision: revision})
		revision++
		m.Watched(m.now, Record{Key: "member.new", Revision: revision, Deleted: true})
	}
}
