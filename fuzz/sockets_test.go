package fuzz

import (
	"fmt"
	"math"
	"testing"

	"github.com/seed004e8d11/websock/internal/netpair"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/bounds"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/netpoll"
	"github.com/seed004e8d11/websock/transport/std"
)

// TestSchedulesOverSockets plays what the peers of schedules do over sockets, with every
// transport. Faults are none but the peers' own: pauses, deadlines, aborts, closes at any time.
func TestSchedulesOverSockets(t *testing.T) {
	transports := map[string]websock.Transport{
		"std": std.Transport(), "epoll": epoll.Transport(), "netpoll": netpoll.Transport(),
	}
	for name, transport := range transports {
		for number := range *schedules / 80 {
			t.Run(fmt.Sprintf("%s/%d", name, number), func(t *testing.T) {
				t.Parallel()
				near, far := netpair.Sockets(t, "tcp")
				s := draw(number)
				s.transport = transport
				bounds.Check(t, math.MaxUint64, func() { s.play(t, &link{}, near, far) })
			})
		}
	}
}
