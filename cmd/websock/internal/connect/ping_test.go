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

func TestAServerIsGoneWithoutASignOfLifeForTwoIntervals(t *testing.T) {
	const much = 1 << 20
	received := func(t *traffic) { t.received++ }
	takes := func(t *traffic) { t.taken, t.waiting = t.taken+1, much }
	shows := func(t *traffic) { t.showing = true }
	for interval, ticks := range map[time.Duration]int{time.Minute: 2, 5 * time.Second: 2, time.Second: 5, 100 * time.Millisecond: 50} {
		for name, test := range map[string]struct {
			sign  func(*traffic)
			signs int  // ticks at which it shows
			noise bool // what isn't a sign follows
		}{
			"never answers":                   {received, 0, false},
			"answers at first":                {received, 3, false},
			"takes a large message":           {takes, 200, false},
			"was not read for a bit":          {shows, 200, false},
			"its system takes pings, no more": {received, 3, true},
		} {
			var server liveness
			passed, n := traffic{received: 7}, 0
			for ; !server.isSilent(passed, interval) && n < 1000; n++ {
				passed.showing = false
				switch {
				case n < test.signs:
					test.sign(&passed)
				case test.noise:
					passed.taken, passed.waiting = passed.taken+10, unacknowledged
				}
			}
			if want := ticks + test.signs; n != want {
				t.Errorf("%s, every %v: gone at tick %d, want %d", name, interval, n, want)
			}
		}
	}
}
