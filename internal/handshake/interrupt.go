package handshake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// interrupt makes the calls of conn fail as soon as ctx ends. release undoes that,
// leaving no deadline, and reports whether ctx left conn alone until then. A conn on which no
// deadline can be set is closed when ctx ends.
func interrupt(ctx context.Context, conn net.Conn) (release func() bool) {
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline) // if it fails, what follows does the same
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		if conn.SetDeadline(longAgo) != nil {
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

// withEnd adds to an error that the end of ctx caused how that ended. The connection's
// deadline, taken from ctx, may pass a moment before ctx says so.
func withEnd(ctx context.Context, err error) error {
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
