package buffer

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestQueueReturnsTheBytesInOrder(t *testing.T) {
	var q Queue
	var want []byte
	for i := range 5000 {
		if rand.IntN(2) == 0 {
			p := bytes.Repeat([]byte{byte(i)}, rand.IntN(300))
			q.Append(p)
			want = append(want, p...)
		} else {
			n := rand.IntN(q.Len() + 1)
			q.Drop(n)
			want = want[n:]
		}
		if q.Len() != len(want) || !bytes.Equal(q.Bytes(), want) {
			t.Fatalf("step %d: %d bytes, want %d", i, q.Len(), len(want))
		}
		if (q.Len() == 0) != (q.Cap() == 0) {
			t.Fatalf("step %d: a buffer of %d bytes for %d", i, q.Cap(), q.Len())
		}
	}
	q.Append([]byte("x"))
	q.Clear()
	if q.Len() != 0 || q.Bytes() != nil || q.Cap() != 0 {
		t.Error("the Queue isn't empty after Clear")
	}
	q.Clear()
}

// The memory of dropped bytes is reused.
func TestQueueThatIsNeverEmptyStaysSmall(t *testing.T) {
	var q Queue
	q.Append(make([]byte, 1000))
	for range 100000 {
		q.Append(make([]byte, 1000))
		q.Drop(1000)
	}
	if q.Cap() > 8192 {
		t.Errorf("a buffer of %d bytes for 1000", q.Cap())
	}
	q.Clear()
}
