package mask

import (
	crand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
	"sync"
)

// generators holds idle ones. A pool has one slot per processor, so that taking a key needs
// neither a lock nor a system call.
var generators = sync.Pool{New: func() any { return NewKeys() }}

// NewKey returns a masking key for one frame. RFC 6455, sections 5.3 and 10.3,
// asks for a key that is fresh for every frame and that the application, and
// whoever supplies its data, cannot predict.
//
// Keys come from generators as [NewKeys] makes them. Those that lie idle over two garbage
// collections are dropped, and their successors seeded anew.
//
// NewKey takes no lock, makes no system call and allocates nothing, except when
// it needs one more generator: the first times, and after a garbage collection.
// It may be called from any number of goroutines at once.
func NewKey() [4]byte {
	k := generators.Get().(*Keys)
	key := k.New()
	generators.Put(k)
	return key
}

// Keys makes masking keys for one goroutine at a time, which has them faster than from
// NewKey.
type Keys struct{ source rand.ChaCha8 }

// NewKeys returns a generator of masking keys: a [rand.ChaCha8], which is cryptographically
// strong, seeded with 256 bits of the operating system's entropy through crypto/rand. It isn't
// reseeded on a schedule, because it replaces its own ChaCha8 key with output nobody has seen
// after at most 124 masking keys: whoever reads its memory learns no masking key older than
// that.
func NewKeys() *Keys {
	var seed [32]byte
	crand.Read(seed[:])
	k := &Keys{}
	k.source.Seed(seed)
	return k
}

// New returns a masking key for one frame (RFC 6455 section 5.3). It makes no system call and
// allocates nothing.
func (k *Keys) New() (key [4]byte) {
	binary.NativeEndian.PutUint32(key[:], uint32(k.source.Uint64()))
	return key
}
