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

// A Pace bounds how fast a Group dials. In every field 0 means the default, and a negative value
// that there is no bound.
type Pace struct {
	// Rate is how many attempts begin in a second, on average. Default: DefaultRate.
	Rate float64

	// Burst is how many attempts may begin at once after a time in which none was waiting.
	// Default: 1. It can't be unbounded.
	Burst int

	// Handshakes is how many attempts may be under way at a time, from Prepare to the end of
	// OnConnect; each has a goroutine. An attempt counts for its first second only, so that hosts
	// that don't answer don't delay others; while such a host stays silent, only one more attempt
	// to it begins at a time. Default: DefaultHandshakes. It can't be unbounded.
	Handshakes int

	// PerHost is how many attempts may be connecting to the same host and port at a time, from
	// Prepare to the end of the opening handshake. Default: as many as Handshakes. With a Mux an attempt
	// no longer counts when it has got a stream of a connection that another one has dialed. So a
	// PerHost of 1 bounds the TCP connections that are being dialed, and not the streams.
	//
	// RFC 6455 section 4.1 requires that a client has only one connection to an IP address in the
	// CONNECTING state at a time, so that a server can answer an overload by being slow. A PerHost
	// of 1 does that for each host and port, whatever its addresses. It isn't the default since it
	// limits Rate to one attempt in the time of a handshake, which would be a surprise where a Rate is
	// set: 10,000 slots of one host at 150 ms take 25 minutes. Set it for servers that are not your own.
	PerHost int
}

// The defaults of Pace.
const (
	DefaultRate       = 100 // attempts in a second
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

// maxLateness is how much time is made up for if attempts that were waiting began later than they
// might have: because timers aren't exact, or too many attempts were under way.
const maxLateness = 100 * time.Millisecond

// A pacer says when attempts may begin: one in an interval, on average.
type pacer struct {
	interval time.Duration
	burst    int

	next    time.Time // when the next attempt may begin
	waiting bool      // an attempt has been waiting since the last call of wait
}

// wait returns how long the next attempt has to wait.
func (p *pacer) wait(now time.Time) time.Duration {
	owed := p.interval * min(time.Duration(p.burst-1), forever/max(p.interval, 1))
	if p.waiting {
		owed = max(owed, maxLateness)
	}
	if earliest := now.Add(-owed); p.next.Before(earliest) {
		p.next = earliest
	}
	p.waiting = true
	return p.next.Sub(now)
}

// take counts an attempt that begins.
func (p *pacer) take() { p.next = p.next.Add(p.interval) }

// setInterval changes the interval. No attempt waits longer than for a new one.
func (p *pacer) setInterval(interval time.Duration, now time.Time) {
	p.interval = interval
	if latest := now.Add(interval); p.next.After(latest) {
		p.next = latest
	}
}

// idle says that no attempt is waiting.
func (p *pacer) idle() { p.waiting = false }

// A Backoff says how long a slot waits before it is dialed again: a random time between zero and a
// bound that doubles with every failure in a row, so that slots that were lost together don't come
// back together. In every field 0 means the default.
//
// If the server, or a proxy, has answered with a Retry-After header, that time is added, up to an
// hour. After close code 1012 (service restart) the wait is between RestartMin and RestartMax, after
// 1013 (try again later) between half of Max and Max.
//
// A failure is an attempt that failed or a connection that was lost. A connection ends the row of
// failures, so that its own loss is the first one of a new row, if it has received a data frame, if it
// was closed with code 1000, 1001 or 1012, or if it was up for at least Stable. So servers that
// close each connection after a while, as many feeds do, are dialed again after Base at most.
type Backoff struct {
	// Base is the bound after the first failure. Negative: the slot waits only as Pace requires.
	// Default: DefaultBackoffBase.
	Base time.Duration

	// Max is the largest bound; it is never less than Base. Negative: there is none. Default:
	// DefaultBackoffMax.
	Max time.Duration

	// Stable is how long a connection must have been up to end a row of failures although it has
	// received nothing and was not closed with one of the codes above. Negative: every connection
	// ends a row. Default: DefaultStable.
	Stable time.Duration

	// RestartMin and RestartMax bound the random time after close code 1012. Negative: 0.
	// Defaults: DefaultRestartMin and DefaultRestartMax, as the registry of close codes asks for.
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

// maxRetryAfter is the longest Retry-After that is respected.
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

// forever is longer than any program runs. It can be added to a time without overflow.
const forever = time.Duration(1 << 61)

// durationOr replaces 0 by a default, and a negative duration by 0.
func durationOr(d, byDefault time.Duration) time.Duration {
	return min(max(orDefault(d, byDefault), 0), forever)
}

// Delay returns how long a slot waits after a number of failures in a row, 1 or more, the last of
// which is err: a random time. It is for programs that dial a connection again themselves. It may be
// called from any goroutine.
func (b Backoff) Delay(failures int, err error) time.Duration {
	b.complete()
	return b.delay(uint32(min(max(failures, 1), math.MaxInt32)), err, time.Now())
}

// Resets reports whether the next failure after a connection is the first in a row again: whether the
// connection worked. It has ended with err, after it had received a number of data frames and was up for
// a time: see websock.Stats.FramesReceived.
func (b Backoff) Resets(err error, framesReceived uint64, up time.Duration) bool {
	b.complete()
	return b.resets(err, framesReceived, up)
}

// delay returns how long to wait after a number of failures in a row, the last of which is err.
func (b *Backoff) delay(failures uint32, err error, now time.Time) time.Duration {
	var closed *websock.CloseError
	if errors.As(err, &closed) && !closed.Local {
		switch closed.Code {
		case websock.CloseServiceRestart:
			return between(b.RestartMin, b.RestartMax)
		case websock.CloseTryAgainLater: // it is overloaded: as after many failures
			most := min(b.Max, maxRetryAfter)
			return between(most/2, most)
		}
	}
	return retryAfter(err, now) + between(0, b.bound(failures))
}

// bound returns the bound of the random time after a number of failures in a row.
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

// between returns a random duration from least to most.
func between(least, most time.Duration) time.Duration {
	return least + rand.N(most-least+1)
}

// resets reports whether a connection ends a row of failures. It has ended with err, after it had
// received a number of data frames and was up for a time.
func (b *Backoff) resets(err error, received uint64, up time.Duration) bool {
	switch closeCodeOf(err) {
	case websock.CloseNormal, websock.CloseGoingAway, websock.CloseServiceRestart:
		return true
	}
	return received > 0 || up >= b.Stable
}

// retryAfter returns the Retry-After of the server or proxy (RFC 9110 section 10.2.3), 0 if there is
// none.
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
