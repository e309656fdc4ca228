package store

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// retryWrite is how long a write waits for another one of the key that is under way.
const retryWrite = 5 * time.Millisecond

// untilLost returns a context that also ends, with nats.ErrDisconnected as its cause, when the
// connection is lost. release has to be called.
func (b *Bucket) untilLost(ctx context.Context) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	lost := b.nc.StatusChanged(nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	if !b.nc.IsConnected() {
		cancel(nats.ErrDisconnected)
	}
	go func() {
		select {
		case <-lost:
			cancel(nats.ErrDisconnected)
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel(nil)
		b.nc.RemoveStatusListener(lost)
	}
}

// write does a write, if there is a connection, and until it is lost: otherwise it would be kept, and
// sent when nobody waits for its outcome any more, or wait for an answer that can't come.
func (b *Bucket) write(ctx context.Context, op, key string, do func(context.Context) (uint64, error)) (uint64, error) {
	ctx, release := b.untilLost(ctx)
	defer release()
	if ctx.Err() != nil {
		return 0, writeError(op, key, context.Cause(ctx))
	}
	for {
		revision, err := do(ctx)
		if codeOf(err) == jetstream.JSErrCodeStreamWrongLastSequenceConstant {
			// The key is being written: perhaps only the end of a write that was acknowledged is.
			select {
			case <-time.After(retryWrite):
				continue
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			err = context.Cause(ctx)
		}
		return revision, writeError(op, key, err)
	}
}

// Create writes a key that doesn't exist, or was deleted.
func (b *Bucket) Create(ctx context.Context, key string, value []byte) (revision uint64, err error) {
	return b.write(ctx, "create", key, func(ctx context.Context) (uint64, error) {
		return b.kv.Create(ctx, key, value)
	})
}

// Update writes a key whose revision is last.
func (b *Bucket) Update(ctx context.Context, key string, value []byte, last uint64) (revision uint64, err error) {
	return b.write(ctx, "update", key, func(ctx context.Context) (uint64, error) {
		return b.kv.Update(ctx, key, value, last)
	})
}

// Delete deletes a key whose revision is last. Its marker goes away after Config.MarkerTTL.
func (b *Bucket) Delete(ctx context.Context, key string, last uint64) error {
	_, err := b.write(ctx, "delete", key, func(ctx context.Context) (uint64, error) {
		return 0, b.kv.Purge(ctx, key, jetstream.LastRevision(last), jetstream.PurgeTTL(b.config.MarkerTTL))
	})
	return err
}
