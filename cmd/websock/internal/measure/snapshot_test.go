package measure

import (
	"reflect"
	"testing"
	"time"
)

// everyCount returns a Snapshot in which every number is n.
func everyCount(n int64) (s Snapshot) {
	for _, count := range s.counts() {
		*count = n
	}
	return s
}

func TestEveryNumberOfASnapshotIsCounted(t *testing.T) {
	s := everyCount(1)
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Int64 && f.Int() != 1 {
			t.Errorf("%s is left out", v.Type().Field(i).Name)
		}
	}
}

func TestSnapshotsOfProcessesAddUp(t *testing.T) {
	h := NewHistogram()
	h.Record(time.Second)
	one, other := everyCount(1), everyCount(2)
	one.ErrorsByKind = map[string]int64{"TLS": 1}
	other.Phase, other.ErrorsByKind = "dialing", map[string]int64{"TLS": 1, "dial failed": 2}
	other.Latency, other.OneWay, other.Lateness = h.Buckets(), h.Buckets(), h.Buckets()
	var sum Snapshot
	sum.Add(one)
	sum.Add(other)
	want := everyCount(3)
	want.Phase, want.ErrorsByKind = "dialing", map[string]int64{"TLS": 2, "dial failed": 2}
	want.Latency, want.OneWay, want.Lateness = h.Buckets(), h.Buckets(), h.Buckets()
	if !reflect.DeepEqual(sum, want) || one.ErrorsByKind["TLS"] != 1 {
		t.Errorf("%+v", sum)
	}
}
