package mask

import (
	crand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
	"sync"
)

// generators holds idle key generators. A pool has one slot per processor, so
// that taking a key needs neither a lock nor a system call.
var generators = sync.Pool{New: func() any {
	var seed [32]byte
	crand.Read(seed[:])
	return rand.NewChaCha8(seed)
}}

// NewKey returns a masking key for one frame. RFC 6455, sections 5.3 and 10.3,
// asks for a key that is fresh for every frame and that the application, and
// whoever supplies its data, cannot predict.
//
// Keys come from [rand.ChaCha8] generators, which are cryptographically strong,
// each seeded with 256 bits of the operating system's entropy through
// crypto/rand. No generator is reseeded on a schedule, because each replaces its
// own ChaCha8 key with output nobody has seen after at most 124 masking keys:
// whoever reads its memory learns no masking key older than that. Generators
// that lie idle over two garbage collections are dropped, and their successors
// seeded anew.
//
// NewKey takes no lock, makes no system call and allocates nothing, except when
// it needs one more generator: the first times, and after a garbage collection.
// It may be called from any number of goroutines at once.
func NewKey() [4]byte {
	g := generators.Get().(*rand.ChaCha8)
	var key [4]byte
	binary.NativeEndian.PutUint32(key[:], uint32(g.Uint64()))
	generators.Put(g)
	return key
}
