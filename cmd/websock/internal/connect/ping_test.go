package connect

import (
	"fmt"
	"testing"
	"time"
)

func TestRoundTripsArePairedByPayload(t *testing.T) {
	var p pings
	at := time.Now()
	after := func(s int) time.Time { return at.Add(time.Duration(s) * time.Second) }
	for i, payload := range []string{"", "a", "", "a", "b"} {
		want := []string{"1", "a", "2", "a", "b"}[i]
		if got := p.add(payload, after(i)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for _, test := range []struct {
		payload string
		want    time.Duration
		ok      bool
	}{
		{"unknown", 0, false},
		{"", 0, false},
		{"a", 9 * time.Second, true}, // the first of two
		{"1", 0, false},              // it was before that
		{"a", 7 * time.Second, true},
		{"2", 0, false},
		{"b", 6 * time.Second, true},
		{"b", 0, false},
	} {
		if got, ok := p.answered([]byte(test.payload), after(10)); got != test.want || ok != test.ok {
			t.Errorf("%q: %v %v, want %v %v", test.payload, got, ok, test.want, test.ok)
		}
	}
}

func TestPingsThatAreNeverAnsweredAreForgotten(t *testing.T) {
	var p pings
	for range 10 * maxPings {
		p.add("", time.Now())
	}
	if len(p.sent) != maxPings {
		t.Errorf("%d pings", len(p.sent))
	}
	if _, ok := p.answered(fmt.Append(nil, 9*maxPings), time.Now()); ok {
		t.Error("an old one")
	}
	if _, ok := p.answered(fmt.Append(nil, 10*maxPings), time.Now()); !ok {
		t.Error("not the last one")
	}
}

func TestAServerIsGoneIfNothingComesForTwoIntervals(t *testing.T) {
	for interval, ticks := range map[time.Duration]int{time.Minute: 2, 5 * time.Second: 2, time.Second: 5, 100 * time.Millisecond: 50} {
		for name, test := range map[string]struct {
			signs int  // ticks at which more was received, or
			busy  bool // at which nothing could be
		}{
			"never answers":          {0, false},
			"answers at first":       {3, false},
			"was not read for a bit": {200, true},
		} {
			var server liveness
			now, received, n := time.Now(), uint64(7), 0
			for ; !server.isSilent(now, received, test.busy && n < test.signs, interval); n++ {
				now = now.Add(interval)
				if n < test.signs-1 && !test.busy {
					received++
				}
			}
			if want := ticks + max(test.signs-1, 0); n != want {
				t.Errorf("%s, every %v: gone at tick %d, want %d", name, interval, n, want)
			}
		}
	}
}
