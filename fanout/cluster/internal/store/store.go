// Package store keeps the records of a cluster where all of its members see them: in a bucket of
// NATS JetStream.
package store

import (
	"context"
	"errors"
)

// ErrConflict is what a write returns if the key's revision is another one than the writer thought:
// somebody else has written it. Nothing was written.
var ErrConflict = errors.New("store: the key has another revision")

// A Store has records under keys, each with the revision of its last change. Revisions are numbers
// of the whole Store: they only grow. Its methods may be called from any goroutine, and return when
// ctx ends. An error other than ErrConflict doesn't say that nothing was written: the answer may have
// been lost.
type Store interface {
	// Watch delivers all records that there are, then an Update without a key, and from then on every
	// change, in the order of revisions, until ctx ends or the connection to the Store is lost. Then
	// the channel is closed. The channel has to be read. The records before the Update without a key
	// are those of one moment: a record that isn't among them didn't exist then. (With JetStream: it
	// comes when the watch has caught up, not when so many records have come as there were.) That may
	// be a moment in the past. Of changes that follow closely, and of deletions above all, a watch may
	// leave out all but the last one of each key.
	Watch(ctx context.Context) (<-chan Update, error)

	// Create writes a key that doesn't exist, or was deleted, and returns its revision.
	Create(ctx context.Context, key string, value []byte) (revision uint64, err error)

	// Update writes a key whose revision is last, and returns the new one.
	Update(ctx context.Context, key string, value []byte, last uint64) (revision uint64, err error)

	// Delete deletes a key whose revision is last.
	Delete(ctx context.Context, key string, last uint64) error
}

// An Update is a change of a record.
type Update struct {
	Key      string // "": all records that there were at the beginning have been delivered
	Value    []byte // nil if the key was deleted
	Revision uint64
	Deleted  bool
}
