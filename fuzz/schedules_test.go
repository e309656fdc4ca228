package fuzz

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/bounds"
	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/h2"
	"github.com/seed004e8d11/websock/transport/netpoll"
	"github.com/seed004e8d11/websock/transport/std"
)

var schedules = flag.Int("schedules", 2000, "how many schedules TestSchedules plays")

// TestSchedules plays random schedules, each seeded with its number, and checks what FuzzPair checks.
// -run TestSchedules/^number$ plays one again.
func TestSchedules(t *testing.T) { playSchedules(t, *schedules, false) }

// TestSchedulesOverHTTP2 is TestSchedules for streams of HTTP/2, each of its own session.
func TestSchedulesOverHTTP2(t *testing.T) { playSchedules(t, *schedules/2, true) }

func playSchedules(t *testing.T, n int, http2 bool) {
	ends := map[string]int{}
	for number := range n {
		t.Run(strconv.Itoa(number), func(t *testing.T) {
			lent := buffer.Lent()
			bounds.Check(t, 64<<20, func() {
				synctest.Test(t, func(t *testing.T) {
					s := draw(number)
					s.http2 = http2
					client, server := s.run(t)
					ends["client: "+client.describeEnd(t)]++
					ends["server: "+server.describeEnd(t)]++
				})
			})
			if kept := buffer.Lent() - lent; kept != 0 {
				t.Errorf("%d buffers were not returned", kept)
			}
		})
	}
	t.Log("\n" + table(ends))
}

// TestSchedulesOverSockets plays the scripts of schedules over sockets, with every transport. The link
// has no faults, but peers pause, set deadlines, abort and close at any time.
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
				s.transport, s.http2 = transport, number%2 == 1
				bounds.Check(t, math.MaxUint64, func() { s.play(t, &link{}, near, far) })
			})
		}
	}
}

// draw returns a random schedule. Half of them have no fault that breaks the link.
func draw(number int) *schedule {
	r := rand.New(rand.NewPCG(uint64(number), 0))
	s := &schedule{
		clientFaults: drawFaults(r), serverFaults: drawFaults(r),
		clientScript: drawScript(r), serverScript: drawScript(r),
		options:   options(r.Uint32()),
		transport: std.Transport(),
	}
	if r.IntN(2) == 0 {
		faults := []program{s.clientFaults, s.serverFaults}[r.IntN(2)]
		if len(faults) > 0 {
			faults[r.IntN(len(faults))] = fault(r, failure+r.IntN(faultKinds-failure))
		}
	}
	return s
}

// drawFaults returns reads of random sizes, some delays and timeouts, and mostly none in the opening
// handshake.
func drawFaults(r *rand.Rand) program {
	p := make(program, r.IntN(maxFaults))
	first := min(r.IntN(4)*2, len(p))
	delays, timeouts := r.IntN(3), r.IntN(3)
	for i := range p[first:] {
		i += first
		switch n := r.IntN(40); {
		case n < delays:
			p[i] = fault(r, delay)
		case n < delays+timeouts:
			p[i] = fault(r, earlyTimeout)
		default:
			p[i] = fault(r, 0)
		}
	}
	return p
}

// fault returns an instruction of a kind with a random size.
func fault(r *rand.Rand, kind int) byte { return byte(r.IntN(faultSize)*faultKinds + kind) }

func drawScript(r *rand.Rand) program {
	p := make(program, r.IntN(300))
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

// describeEnd describes the error that ended receiving. An error that isn't documented fails the test.
func (p *peer) describeEnd(t *testing.T) string {
	if p == nil {
		return "no connection"
	}
	closed := p.closed()
	switch {
	case closed == nil:
		t.Errorf("%v is no documented error", p.got.err)
		return "?"
	case closed.Local && closed.Code == websock.CloseAbnormal:
		return "aborted by us"
	case closed.Local && closed.Err == websock.ErrClosed:
		return "closed by us"
	case closed.Local:
		return "closed by us, not answered: " + p.cause(t, closed)
	case closed.Code != websock.CloseAbnormal:
		return "closed by the peer"
	}
	return "lost: " + p.cause(t, closed)
}

// cause names the network error in the chain.
func (p *peer) cause(t *testing.T, end error) string {
	for _, cause := range []error{websock.ErrTimeout, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, temporary{}, os.ErrDeadlineExceeded} {
		if errors.Is(end, cause) {
			return cause.Error()
		}
	}
	var reset *h2.StreamError
	switch {
	case errors.As(end, &reset) && reset.Remote:
		return "reset by the peer"
	case p.cut:
		return "aborted"
	}
	t.Errorf("%v has no documented cause", end)
	return "?"
}

func table(counts map[string]int) string {
	var lines []string
	for what, n := range counts {
		lines = append(lines, fmt.Sprintf("%8d  %s", n, what))
	}
	slices.Sort(lines)
	slices.Reverse(lines)
	return strings.Join(lines, "\n")
}
