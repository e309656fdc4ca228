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
// leaving no deadline, and reports whether ctx left conn alone until then.
func interrupt(ctx context.Context, conn net.Conn) (release func() bool) {
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline) // if it fails, so will the reads and writes
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		conn.SetDeadline(longAgo)
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

// withEnd adds to a timeout how ctx ended, which caused it. The connection's
// deadline, taken from ctx, may pass a moment before ctx says so.
func withEnd(ctx context.Context, err error) error {
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		return err
	}
	end := ctx.Err()
	if end == nil {
		end = context.DeadlineExceeded
	}
	return fmt.Errorf("%w: %w", end, err)
}
