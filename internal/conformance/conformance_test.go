package conformance

import (
	"fmt"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/leak"
	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/std"
)

func TestMain(m *testing.M) { leak.VerifyTestMain(m) }

// Under the race detector, which makes them slow, one of so many compressed cases runs.
const compressedUnderRace = 40

// A place is code under test in which cases run.
type place struct {
	name string
	run  func(s *stream) error
}

func places(t *testing.T) []place {
	on := func(factory transport.Factory, secure bool) func(*stream) error {
		return newNetwork(t, factory, secure).converseInEveryWay
	}
	overHTTP2 := func(factory transport.Factory, secure bool) func(*stream) error {
		return newStreams(t, factory, secure).converseInEveryWay
	}
	return []place{
		{name: "Decoder", run: decodeInEveryWay},
		{name: "Conn, pulled", run: func(s *stream) error { return converseInEveryWay(s, true) }},
		{name: "Conn, pushed", run: func(s *stream) error { return converseInEveryWay(s, false) }},
		{name: "std", run: on(std.Transport(), false)},
		{name: "epoll", run: on(epoll.Transport(), false)},
		{name: "std over TLS", run: on(std.Transport(), true)},
		{name: "epoll over TLS", run: on(epoll.Transport(), true)},
		{name: "HTTP/2", run: overHTTP2(epoll.Transport(), false)},
		{name: "HTTP/2 over TLS", run: overHTTP2(epoll.Transport(), true)},
	}
}

func TestConformance(t *testing.T) {
	places, rows, tally := places(t), rows(), newTally()
	t.Run("in", func(t *testing.T) { // until all are done
		for _, p := range places {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				failures := 0
				for i, r := range rows {
					if race.Enabled && !r.compression.IsOff() && i%compressedUnderRace != 0 {
						continue
					}
					passed := r.run(t, p)
					tally.count(p, r, passed)
					if !passed {
						failures++
					}
					if failures == 5 { // each may take as long as its timeout
						t.Fatal("too many cases fail")
					}
				}
			})
		}
	})
	t.Run("Document", func(t *testing.T) { tally.compare(t, places, rows) })
}

// run runs a case in both roles, and reports whether it passed.
func (r row) run(t *testing.T, p place) bool {
	ok := true
	for _, role := range []websock.Role{websock.Client, websock.Server} {
		if err := p.run(r.stream(role)); err != nil {
			t.Errorf("%s (%s), as the %v: %v", r.number, r.behaviour, role, err)
			ok = false
		}
	}
	return ok
}

func decodeInEveryWay(s *stream) error {
	for c := range s.cuts() {
		if err := decode(s, c); err != nil {
			return fmt.Errorf("cut %s: %w", c.name, err)
		}
	}
	return nil
}

func converseInEveryWay(s *stream, pulled bool) error {
	for c := range s.cuts() {
		for _, a := range applications {
			if (a.pull != nil) != pulled || len(s.bytes) > short && !a.long {
				continue
			}
			if err := converse(s, c, a); err != nil {
				return fmt.Errorf("%s, cut %s: %w", a.name, c.name, err)
			}
		}
	}
	return nil
}

// exchanges are the ways in which cases run over a network.
var exchanges = []struct {
	name  string
	a     application
	play  peerScript
	long  bool // also with long streams
	plain bool // only without TLS, whose handshakes would take most of the time
}{
	{name: "pulled, answer by answer", a: application{pull: recvMessage}, play: stepwise, long: true},
	{name: "pushed, at once", a: application{handler: messages}, play: atOnce, long: true},
	{name: "pulled, at once", a: application{pull: recvMessage}, play: atOnce, plain: true},
	{name: "pushed, answer by answer", a: application{handler: messages}, play: stepwise, plain: true},
}

func (n *network) converseInEveryWay(s *stream) error {
	for _, w := range exchanges {
		if len(s.bytes) > medium && !w.long || n.tls != nil && w.plain {
			continue
		}
		if err := n.converse(s, w.a, w.play); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return nil
}

// autobahnCases is how many cases the Autobahn test suite has below each number.
var autobahnCases = map[string]int{
	"1.1": 8, "1.2": 8,
	"2":   11,
	"3":   7,
	"4.1": 5, "4.2": 5,
	"5":   20,
	"6.1": 3, "6.2": 4, "6.3": 2, "6.4": 4, "6.5": 5, "6.6": 11, "6.7": 4, "6.8": 2, "6.9": 4, "6.10": 3,
	"6.11": 5, "6.12": 8, "6.13": 5, "6.14": 10, "6.15": 1, "6.16": 3, "6.17": 5, "6.18": 5, "6.19": 5,
	"6.20": 7, "6.21": 8, "6.22": 34, "6.23": 7,
	"7.1": 6, "7.3": 6, "7.5": 1, "7.7": 13, "7.9": 9, "7.13": 2,
	"9.1": 6, "9.2": 6, "9.3": 9, "9.4": 9, "9.5": 6, "9.6": 6, "9.7": 6, "9.8": 6,
	"10.1": 1,
	"12.1": 18, "12.2": 18, "12.3": 18, "12.4": 18, "12.5": 18,
	"13.1": 18, "13.2": 18, "13.3": 18, "13.4": 18, "13.5": 18, "13.6": 18, "13.7": 18,
}

func TestEveryAutobahnCaseExistsOnce(t *testing.T) {
	times := map[string]int{}
	for _, r := range rows() {
		times[r.number]++
		if times[r.number] == 2 {
			t.Errorf("%s exists twice", r.number)
		}
	}
	for below, n := range autobahnCases {
		for i := range n {
			if number := fmt.Sprintf("%s.%d", below, i+1); times[number] == 0 {
				t.Errorf("%s is missing", number)
			}
		}
	}
}
