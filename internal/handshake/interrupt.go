package handshake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// expired is a deadline that has passed.
var expired = time.Unix(1, 0)

// An interruptible is a connection, or a part of one, whose calls can be made to fail.
type interruptible interface {
	SetDeadline(t time.Time) error
	Close() error
}

// interrupt makes calls of conn fail as soon as ctx ends. If conn doesn't support deadlines, it is
// closed then. release ends that and removes the deadline of conn; it returns false if ctx had
// ended before.
func interrupt(ctx context.Context, conn interruptible) (release func() bool) {
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline) // if it fails, so does the call below
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		if conn.SetDeadline(expired) != nil {
			conn.Close()
		}
		close(interrupted)
	})
	return func() bool {
		if !stop() {
			<-interrupted
			return false
		}
		conn.SetDeadline(time.Time{})
		return true
	}
}

// withCtxErr adds ctx.Err() to an error that the end of ctx caused. The connection's deadline, which
// is that of ctx, may pass a moment before ctx ends.
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
