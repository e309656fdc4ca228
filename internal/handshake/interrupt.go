package handshake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// expired is a deadline that has passed.
var expired = time.Unix(1, 0)

// An interruptible is a connection, or a part of one, whose calls can be made to fail.
type interruptible interface {
	SetDeadline(t time.Time) error
	Close() error
}

// interrupt makes calls of conn fail as soon as ctx ends, and not earlier. If conn doesn't support
// deadlines, it is closed then. release ends that and leaves conn without a deadline; it returns false if
// ctx had ended before.
func interrupt(ctx context.Context, conn interruptible) (release func() bool) {
	conn.SetDeadline(time.Time{}) // ctx has a timer already: a deadline would only be another one
	if ctx.Done() == nil {
		return func() bool { return true }
	}
	var interrupted sync.WaitGroup
	interrupted.Add(1)
	stop := context.AfterFunc(ctx, func() {
		defer interrupted.Done()
		if conn.SetDeadline(expired) != nil {
			conn.Close()
		}
	})
	return func() bool {
		if stop() {
			return true
		}
		interrupted.Wait()
		return false
	}
}

// withCtxErr adds ctx.Err() to an error that the end of ctx caused. A deadline that somebody else has
// set may pass a moment before ctx ends.
func withCtxErr(ctx context.Context, err error) error {
	end := ctx.Err()
	if isTimeout(err) && end == nil {
		end = context.DeadlineExceeded
	}
	if err == nil || end == nil {
		return err
	}
	return fmt.Errorf("%w: %w", end, err)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
