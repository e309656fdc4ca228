package fanout

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/engine"
)

// A Backoff says how long a slot waits before it is dialled again: a random time between
// zero and a bound, so that slots which were lost together don't come back together. What a
// Retry-After header asks for, up to an hour, comes on top of it. After close code 1013 (try
// again later) it is between half of Max and Max. In every field 0 means the default.
type Backoff struct {
	// Base is the bound after the first failure. It doubles with every further one.
	// Default: 500 ms.
	Base time.Duration

	// Max is where it stops doubling. Default: 1 min.
	Max time.Duration

	// Stable is how long a connection must have been up for the next failure to be the
	// first one again. Default: 30 s.
	Stable time.Duration

	// RestartMin and RestartMax bound the random time after close code 1012 (service
	// restart). Defaults: 5 s and 30 s, as the registry of close codes has it.
	RestartMin, RestartMax time.Duration
}

// The defaults of Backoff.
const (
	DefaultBackoffBase = 500 * time.Millisecond
	DefaultBackoffMax  = time.Minute
	DefaultStable      = 30 * time.Second
	DefaultRestartMin  = 5 * time.Second
	DefaultRestartMax  = 30 * time.Second
)

// maxRetryAfter is how much of a Retry-After is heeded.
const maxRetryAfter = time.Hour

func (b *Backoff) complete() {
	b.Base = orDefault(b.Base, DefaultBackoffBase)
	b.Max = max(orDefault(b.Max, DefaultBackoffMax), b.Base)
	b.Stable = orDefault(b.Stable, DefaultStable)
	b.RestartMin = orDefault(b.RestartMin, DefaultRestartMin)
	b.RestartMax = max(orDefault(b.RestartMax, DefaultRestartMax), b.RestartMin)
}

// delay returns how long to wait after so many failures in a row, the last of them err.
func (b *Backoff) delay(failures uint32, err error, now time.Time) time.Duration {
	var closed *engine.CloseError
	if errors.As(err, &closed) && !closed.Local {
		switch closed.Code {
		case engine.CloseServiceRestart:
			return between(b.RestartMin, b.RestartMax)
		case engine.CloseTryAgainLater: // overloaded: no sooner than if it had failed often
			return between(b.Max/2, b.Max)
		}
	}
	return retryAfter(err, now) + between(0, b.bound(failures))
}

// bound returns the bound of the random time.
func (b *Backoff) bound(failures uint32) time.Duration {
	bound := b.Base
	for ; failures > 1; failures-- {
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

// retryAfter returns how long the server, or a proxy, asks to wait (RFC 9110 section 10.2.3).
func retryAfter(err error, now time.Time) time.Duration {
	var failed *engine.HandshakeError
	if !errors.As(err, &failed) {
		return 0
	}
	value := strings.TrimSpace(failed.Header.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if date, err := http.ParseTime(value); err == nil {
		return min(max(date.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
