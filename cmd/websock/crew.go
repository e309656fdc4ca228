package main

import (
	"context"
	"time"
)

// A crew does the work of a fanout: a fleet in this process, or several in processes of their
// own.
type crew interface {
	// dial opens the connections. It returns when an attempt was made for each of them, or
	// ctx has ended. The error says that none can be made.
	dial(ctx context.Context) error

	// exchange keeps messages in flight until d has passed, ctx ends, or no connection is
	// left.
	exchange(ctx context.Context, d time.Duration) error

	// finish waits for the echoes that are due, at most d, and closes all connections.
	finish(d time.Duration) (account, error)

	// standing may be called at any time.
	standing() standing
}
