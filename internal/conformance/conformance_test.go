package conformance

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/std"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// compressedUnderRace says that of compressed cases one in so many runs under the race detector,
// which makes them slow.
const compressedUnderRace = 40

// A place is where cases run.
type place struct {
	name string
	run  func(s *stream) error
}

func places(t *testing.T) []place {
	on := func(factory transport.Factory, secure bool) func(*stream) error {
		return newNetwork(t, factory, secure).converseInEveryWay
	}
	return []place{
		{name: "Decoder", run: decodeInEveryWay},
		{name: "Conn, pulled", run: func(s *stream) error { return converseInEveryWay(s, true) }},
		{name: "Conn, pushed", run: func(s *stream) error { return converseInEveryWay(s, false) }},
		{name: "std", run: on(std.Transport(), false)},
		{name: "epoll", run: on(epoll.Transport(), false)},
		{name: "std over TLS", run: on(std.Transport(), true)},
		{name: "epoll over TLS", run: on(epoll.Transport(), true)},
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
					if failures == 5 { // each may have waited for what never came
						t.Fatal("too many fail")
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

// ways are how cases run over a network.
var ways = []struct {
	name  string
	a     application
	say   manner
	long  bool // also where streams are long
	plain bool // only without TLS, whose handshakes would take most of the time
}{
	{name: "pulled, answer by answer", a: application{pull: recvMessage}, say: stepwise, long: true},
	{name: "pushed, at once", a: application{handler: messages}, say: atOnce, long: true},
	{name: "pulled, at once", a: application{pull: recvMessage}, say: atOnce, plain: true},
	{name: "pushed, answer by answer", a: application{handler: messages}, say: stepwise, plain: true},
}

func (n *network) converseInEveryWay(s *stream) error {
	for _, w := range ways {
		if len(s.bytes) > medium && !w.long || n.tls != nil && w.plain {
			continue
		}
		if err := n.converse(s, w.a, w.say); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return nil
}
