package store

import (
	"context"
	"errors"
)

// ErrConflict is what a write returns if the key's revision is another one than the writer thought:
// somebody else has written it, or an earlier write whose answer was lost has. Nothing was written.
var ErrConflict = errors.New("store: the key has another revision")

// A Store has records under keys, each with the revision of its last change. Revisions are numbers
// of the whole Store: they only grow. Its methods may be called from any goroutine, and return when
// ctx ends. An error other than ErrConflict doesn't say that nothing was written: the answer may have
// been lost.
type Store interface {
	// Watch delivers all records that there are, then an Update without a key, and from then on every
	// change, in the order of revisions, until ctx ends or the connection to the Store is lost. Then
	// the channel is closed. The channel has to be read. Before the Update without a key comes every
	// record that there was when Watch was called, in that or a later revision: one that doesn't come
	// didn't exist then. Of changes that follow closely, and of deletions above all, a watch may leave
	// out all but the last one of each key. Records that were deleted before may come, as deleted.
	Watch(ctx context.Context) (<-chan Update, error)

	// Create writes a key that doesn't exist, or was deleted, and returns its revision.
	Create(ctx context.Context, key string, value []byte) (revision uint64, err error)

	// Update writes a key whose revision is last, which isn't 0, and returns the new one.
	Update(ctx context.Context, key string, value []byte, last uint64) (revision uint64, err error)

	// Delete deletes a key whose revision is last, which isn't 0. The deletion has a revision, too.
	Delete(ctx context.Context, key string, last uint64) error
}

// An Update is a change of a record.
type Update struct {
	Key      string // "": all records that there were at the beginning have been delivered
	Value    []byte // nil if the key was deleted; whoever receives it owns it
	Revision uint64
	Deleted  bool
}
