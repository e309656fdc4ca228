package store

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// connected returns an error while the connection is lost, so that a write isn't kept by it and sent
// when nobody waits for its outcome any more.
func (b *Bucket) connected() error {
	if !b.nc.IsConnected() {
		return nats.ErrDisconnected
	}
	return nil
}

// Create writes a key that doesn't exist, or was deleted.
func (b *Bucket) Create(ctx context.Context, key string, value []byte) (revision uint64, err error) {
	if err := b.connected(); err != nil {
		return 0, writeError("create", key, err)
	}
	revision, err = b.kv.Create(ctx, key, value)
	return revision, writeError("create", key, err)
}

// Update writes a key whose revision is last.
func (b *Bucket) Update(ctx context.Context, key string, value []byte, last uint64) (revision uint64, err error) {
	if err := b.connected(); err != nil {
		return 0, writeError("update", key, err)
	}
	revision, err = b.kv.Update(ctx, key, value, last)
	return revision, writeError("update", key, err)
}

// Delete deletes a key whose revision is last. Its marker goes away after Config.MarkerTTL.
func (b *Bucket) Delete(ctx context.Context, key string, last uint64) error {
	if err := b.connected(); err != nil {
		return writeError("delete", key, err)
	}
	err := b.kv.Purge(ctx, key, jetstream.LastRevision(last), jetstream.PurgeTTL(b.markerTTL))
	return writeError("delete", key, err)
}
