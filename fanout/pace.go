package fanout

import (
	"math"
	"time"
)

// A Pace bounds how fast connections are dialled. In every field 0 means the default, and a
// negative value that there is no bound.
type Pace struct {
	// Rate is how many attempts begin in a second, on average. Default: 100.
	Rate float64

	// Burst is how many may begin at once after a time in which none was waiting. Default:
	// 1. It can't be unbounded.
	Burst int

	// Handshakes is how many attempts may be under way at a time, from Prepare to the end
	// of OnConnect; each has a goroutine. An attempt counts for a second only, so that hosts
	// that don't answer hold up no other; as long as such a host stays silent, only one
	// attempt at a time is added to those that wait for it. Default: 64. It can't be
	// unbounded.
	Handshakes int

	// PerHost is how many attempts may be connecting to the same host and port, from
	// Prepare to the end of the opening handshake. Default: as many as Handshakes.
	//
	// RFC 6455 section 4.1 wants one at a time to an IP address, and to wait for its end
	// before the next begins: a server can then answer an overload by being slow. With 1
	// here, Rate is no more than one in the time of a handshake: 10,000 slots of one host
	// at 150 ms take 25 minutes, whatever Rate says. That would surprise whoever sets a
	// Rate, so 1 has to be asked for. It is polite towards servers that are not your own.
	PerHost int
}

// The defaults of Pace.
const (
	DefaultRate       = 100
	DefaultHandshakes = 64
)

func (p *Pace) complete() {
	p.Rate = orDefault(p.Rate, DefaultRate)
	p.Burst = max(p.Burst, 1)
	if p.Handshakes <= 0 {
		p.Handshakes = DefaultHandshakes
	}
	p.PerHost = orDefault(p.PerHost, p.Handshakes)
	if p.PerHost < 0 {
		p.PerHost = math.MaxInt
	}
}

// interval returns the time between two attempts.
func (p *Pace) interval() time.Duration {
	if p.Rate < 0 {
		return 0
	}
	return time.Duration(min(float64(time.Second)/p.Rate, float64(forever)))
}

// maxLateness is how much time is made up for when attempts that were waiting began later than
// they might have: since timers are not exact, or too many attempts were under way.
const maxLateness = 100 * time.Millisecond

// A pacer says when attempts may begin: one in an interval, on average.
type pacer struct {
	interval time.Duration
	burst    int

	next    time.Time // when the next may begin
	waiting bool      // it was asked for, and somebody has been waiting since
}

// wait returns how long the next attempt has to wait.
func (p *pacer) wait(now time.Time) time.Duration {
	owed := p.interval * time.Duration(min(p.burst-1, int(forever/max(p.interval, 1))))
	if p.waiting {
		owed = max(owed, maxLateness)
	}
	if earliest := now.Add(-owed); p.next.Before(earliest) {
		p.next = earliest
	}
	p.waiting = true
	return p.next.Sub(now)
}

// take begins an attempt.
func (p *pacer) take() { p.next = p.next.Add(p.interval) }

// rest notes that nobody is waiting.
func (p *pacer) rest() { p.waiting = false }
