package fanout

import (
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed004e8d11/websock"
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

// A Backoff says how long a slot waits before it is dialled again: a random time between
// zero and a bound, so that slots which were lost together don't come back together. What a
// Retry-After header asks for, up to an hour, comes on top of it. After close code 1013 (try
// again later) it is between half of Max and Max. In every field 0 means the default.
//
// Failures are counted in a row. A connection ends the row, so that the loss of it is the first
// failure of a new one, if it has received anything, if it was closed in an orderly way, with
// code 1000, 1001 or 1012, or if it was up for as long as Stable. Servers that close each
// connection after a while, as many feeds do, so are dialled again after Base at most.
type Backoff struct {
	// Base is the bound after the first failure. It doubles with every further one.
	// Negative: the slot doesn't wait, but for Pace. Default: 500 ms.
	Base time.Duration

	// Max is where it stops doubling. Negative: nowhere. Default: 1 min.
	Max time.Duration

	// Stable is how long a connection must have been up to end a row of failures though it
	// has received nothing and has not ended in an orderly way. Negative: it always does.
	// Default: 5 s.
	Stable time.Duration

	// RestartMin and RestartMax bound the random time after close code 1012 (service
	// restart). Negative: 0. Defaults: 5 s and 30 s, as the registry of close codes has it.
	RestartMin, RestartMax time.Duration
}

// The defaults of Backoff.
const (
	DefaultBackoffBase = 500 * time.Millisecond
	DefaultBackoffMax  = time.Minute
	DefaultStable      = 5 * time.Second
	DefaultRestartMin  = 5 * time.Second
	DefaultRestartMax  = 30 * time.Second
)

// maxRetryAfter is how much of a Retry-After is heeded.
const maxRetryAfter = time.Hour

func (b *Backoff) complete() {
	b.Base = durationOr(b.Base, DefaultBackoffBase)
	if b.Max < 0 {
		b.Max = forever
	}
	b.Max = max(durationOr(b.Max, DefaultBackoffMax), b.Base)
	b.Stable = durationOr(b.Stable, DefaultStable)
	b.RestartMin = durationOr(b.RestartMin, DefaultRestartMin)
	b.RestartMax = max(durationOr(b.RestartMax, DefaultRestartMax), b.RestartMin)
}

// forever is longer than a program runs, and can be added to a time.
const forever = time.Duration(1 << 61)

// durationOr replaces a zero by the default and what is negative by 0.
func durationOr(d, byDefault time.Duration) time.Duration {
	return min(max(orDefault(d, byDefault), 0), forever)
}

// delay returns how long to wait after so many failures in a row, the last of them err.
func (b *Backoff) delay(failures uint32, err error, now time.Time) time.Duration {
	var closed *websock.CloseError
	if errors.As(err, &closed) && !closed.Local {
		switch closed.Code {
		case websock.CloseServiceRestart:
			return between(b.RestartMin, b.RestartMax)
		case websock.CloseTryAgainLater: // overloaded: no sooner than if it had failed often
			most := min(b.Max, maxRetryAfter)
			return between(most/2, most)
		}
	}
	return retryAfter(err, now) + between(0, b.bound(failures))
}

// bound returns the bound of the random time.
func (b *Backoff) bound(failures uint32) time.Duration {
	bound := b.Base
	for ; failures > 1 && bound > 0; failures-- {
		if bound > b.Max/2 {
			return b.Max
		}
		bound *= 2
	}
	return bound
}

// between returns a random time.
func between(least, most time.Duration) time.Duration {
	return least + rand.N(most-least+1)
}

// endsRow reports whether a connection that ended with err, after it had received so many
// bytes and was up for so long, ends a row of failures.
func (b *Backoff) endsRow(err error, received uint64, up time.Duration) bool {
	switch codeOf(err) {
	case websock.CloseNormal, websock.CloseGoingAway, websock.CloseServiceRestart:
		return true
	}
	return received > 0 || up >= b.Stable
}

// retryAfter returns how long the server, or a proxy, asks to wait (RFC 9110 section 10.2.3).
func retryAfter(err error, now time.Time) time.Duration {
	var failed *websock.HandshakeError
	if !errors.As(err, &failed) {
		return 0
	}
	value := strings.TrimSpace(failed.Header.Get("Retry-After"))
	if value != "" && strings.Trim(value, "0123456789") == "" {
		seconds, _ := strconv.ParseUint(value, 10, 64) // the largest, if there are too many digits
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return min(max(date.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
