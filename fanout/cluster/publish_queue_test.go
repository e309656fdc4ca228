package cluster

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
)

func newTestQueue(o Publish) *rxQueue {
	o.complete()
	return newRxQueue(&o)
}

func addText(q *rxQueue, key, text string) {
	q.add(nil, key, 1, websock.OpText, []byte(text))
}

func one(int) int { return 1 }

// textsOf returns what was taken, with keys.
func textsOf(messages []taken) (texts []string) {
	for _, m := range messages {
		texts = append(texts, m.key.name+":"+string(m.payload))
	}
	return texts
}

func TestAQueueGivesTheMessagesOfAKeyInOrder(t *testing.T) {
	q := newTestQueue(Publish{})
	for _, text := range []string{"a1", "b1", "a2", "a3", "b2"} {
		addText(q, text[:1], text)
	}
	check := func(got []taken, want ...string) {
		t.Helper()
		if !slices.Equal(textsOf(got), want) {
			t.Fatalf("took %q, want %q", textsOf(got), want)
		}
	}
	check(q.take(nil, 10, math.MaxInt64, one), "a:a1", "b:b1")
	check(q.take(nil, 10, math.MaxInt64, one)) // nothing until these are settled
	q.settle(q.keys["b"], notDropped)
	q.settle(q.keys["a"], notDropped)
	check(q.take(nil, 1, math.MaxInt64, all), "b:b2")
	check(q.take(nil, 10, 1, all), "a:a2") // at least one
	q.settle(q.keys["b"], notDropped)
	q.settle(q.keys["a"], notDropped)
	check(q.take(nil, 10, math.MaxInt64, all), "a:a3")
	q.settle(q.keys["a"], notDropped)
	if s := q.snapshot(); s.Received != 5 || s.Published != 5 || s.Waiting != 0 || s.WaitingBytes != 0 || len(q.keys) != 0 {
		t.Errorf("%+v and %d keys, want five messages published and nothing left", s, len(q.keys))
	}
}

func TestWhatIsGivenBackIsTakenOneByOne(t *testing.T) {
	q := newTestQueue(Publish{})
	for i := range 5 {
		addText(q, "a", fmt.Sprint(i))
	}
	first := q.take(nil, 1, math.MaxInt64, func(int) int { return 3 })
	q.giveBack(first[0].key)
	var sizes []int
	for q.snapshot().Waiting > 0 {
		m := q.take(nil, 1, math.MaxInt64, all)
		sizes = append(sizes, len(m))
		q.settleAll(m, nil)
	}
	if !slices.Equal(sizes, []int{1, 1, 1, 2}) {
		t.Errorf("took %v messages, want the three that were given back one by one", sizes)
	}
}

func TestAQueueCopiesWhatItGets(t *testing.T) {
	q := newTestQueue(Publish{})
	p := []byte("one")
	q.add(nil, "a", 1, websock.OpText, p)
	copy(p, "two")
	if got := textsOf(q.take(nil, 1, 1, one)); got[0] != "a:one" {
		t.Errorf("took %q", got)
	}
}

func TestAFullQueueDropsAndTells(t *testing.T) {
	var d drops
	q := newTestQueue(Publish{Buffer: 3 * messageCost, OnDropped: d.note})
	for i := range 5 {
		q.add(nil, fmt.Sprint("key", i%2), 1, websock.OpText, nil)
	}
	if d.of("key0", DropFull) != 1 || d.of("key1", DropFull) != 1 {
		t.Errorf("dropped %v, want one message of each key", d.counts)
	}
	if s := q.snapshot(); s.Received != 5 || s.Waiting != 3 || s.Dropped[DropFull] != 2 {
		t.Errorf("%+v", s)
	}
}

func TestWhatWaitsOfAKeyIsFlushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d drops
		q := newTestQueue(Publish{OnDropped: d.note})
		flushed := map[string]bool{}
		flush := func(key string) {
			q.flushed(key, func() { flushed[key] = true })
			synctest.Wait()
		}

		if flush("none"); !flushed["none"] {
			t.Error("a key of which nothing waits is not flushed at once")
		}

		addText(q, "quick", "1")
		addText(q, "quick", "2")
		m := q.take(nil, 2, math.MaxInt64, all)
		flush("quick")
		q.settle(m[0].key, notDropped)
		if flushed["quick"] {
			t.Error("flushed while a message is on its way")
		}
		if q.settle(m[1].key, notDropped); !flushed["quick"] {
			t.Error("not flushed when the last message was published")
		}

		addText(q, "slow", "1")
		addText(q, "slow", "2")
		late := q.take(nil, 1, math.MaxInt64, one)
		flush("slow")
		time.Sleep(DefaultFlushTimeout)
		synctest.Wait()
		if !flushed["slow"] || d.of("slow", DropLate) != 2 {
			t.Errorf("flushed %v, dropped %v: want two messages dropped after FlushTimeout", flushed, d.counts)
		}
		addText(q, "slow", "3")
		q.settle(late[0].key, notDropped) // an acknowledgement that comes too late
		if s := q.snapshot(); s.Published != 2 || s.Waiting != 1 {
			t.Errorf("%+v: want a late acknowledgement not to count", s)
		}
	})
}

func TestAnAbandonedQueueIsEmptyAndWorksAgain(t *testing.T) {
	var d drops
	q := newTestQueue(Publish{OnDropped: d.note})
	addText(q, "a", "1")
	addText(q, "a", "2")
	addText(q, "b", "1")
	taken := q.take(nil, 1, math.MaxInt64, one)
	flushed := false
	q.flushed("b", func() { flushed = true })
	q.abandon(DropNotHeld)
	if !flushed || d.of("a", DropNotHeld) != 2 || d.of("b", DropNotHeld) != 1 || q.waits(taken[0].key) {
		t.Errorf("dropped %v, flushed %v", d.counts, flushed)
	}
	if got := q.take(nil, 9, 99, all); got != nil {
		t.Errorf("took %q of an empty queue", textsOf(got))
	}
	addText(q, "a", "3")
	if got := textsOf(q.take(nil, 9, 99, all)); !slices.Equal(got, []string{"a:3"}) {
		t.Errorf("took %q, want the message that came afterwards", got)
	}
}

func TestAClosedQueueTakesNothingAndSaysWhenItIsEmpty(t *testing.T) {
	q := newTestQueue(Publish{})
	addText(q, "a", "1")
	q.close()
	addText(q, "a", "2")
	select {
	case <-q.empty:
		t.Fatal("it is not empty")
	default:
	}
	q.settle(q.take(nil, 1, 1, one)[0].key, notDropped)
	<-q.empty
	if s := q.snapshot(); s.Dropped[DropLate] != 1 {
		t.Errorf("%+v", s)
	}
}

func TestAFifoKeepsOrderInLittleMemory(t *testing.T) {
	var f fifo[int]
	next, want := 0, 0
	for range 1000 {
		for range 3 {
			f.push(next)
			next++
		}
		for range 3 {
			if got := f.pop(); got != want {
				t.Fatalf("popped %d, want %d", got, want)
			}
			want++
		}
		f.push(next)
		next++
		if got := *f.at(f.len() - 1); got != next-1 {
			t.Fatalf("the last one is %d", got)
		}
		f.pop()
		want++
	}
	if cap(f.items) > 16 {
		t.Errorf("room for %d items, and there were never more than 4", cap(f.items))
	}
}

func TestAQueueIsNotEmptyWhileItTellsWhatItDrops(t *testing.T) {
	var q *rxQueue
	told := 0
	q = newRxQueue(&Publish{Buffer: 1 << 20, OnDropped: func(string, int, DropReason) {
		select {
		case <-q.empty:
			t.Error("the queue is empty, and still tells")
		default:
			told++
		}
	}})
	q.add(nil, "a", 1, websock.OpText, []byte("1"))
	q.close()
	q.abandon(DropLate)
	<-q.empty
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}
