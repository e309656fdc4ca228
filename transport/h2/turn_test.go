package h2

import "testing"

func TestARunQueueThatIsNeverEmptyStaysSmall(t *testing.T) {
	var q runQueue
	streams := make([]Stream, 10)
	for i := range streams {
		q.add(&streams[i])
	}
	for i := range 10_000 {
		st := q.take()
		if st != &streams[i%10] {
			t.Fatalf("another stream at %d", i)
		}
		q.add(st)
	}
	if size := cap(q.streams); size > 40 {
		t.Errorf("room for %d streams", size)
	}
	for range streams {
		q.take()
	}
	if q.take() != nil || q.len() != 0 {
		t.Error("it isn't empty")
	}
}
