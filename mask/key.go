package mask

import (
	crand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
	"sync"
)

// generators holds idle generators. A pool has a slot for each processor, so that making a key needs
// neither a lock nor a system call.
var generators = sync.Pool{New: func() any { return NewKeys() }}

// NewKey returns a masking key for one frame. RFC 6455, sections 5.3 and 10.3,
// asks for a key that is fresh for every frame and that the application, and
// whoever supplies its data, cannot predict.
//
// Keys come from pooled generators of [NewKeys]. Those that are idle for two garbage collections are
// dropped; new ones have new seeds.
//
// NewKey takes no lock, makes no system call and doesn't allocate, except when it
// needs another generator: at first, and after garbage collections. It is safe for
// concurrent use.
func NewKey() [4]byte {
	k := generators.Get().(*Keys)
	key := k.New()
	generators.Put(k)
	return key
}

// Keys makes masking keys, faster than NewKey. It must come from NewKeys: a zero Keys has no seed, and
// anybody can predict its keys. It must not be used by several goroutines at once.
type Keys struct {
	source rand.ChaCha8
	words  uint64 // two keys, of which the second was not used yet if hasKey is set
	hasKey bool
}

// NewKeys returns a generator of masking keys: a [rand.ChaCha8], which is cryptographically
// strong, seeded with 256 bits of the operating system's entropy through crypto/rand. It isn't
// reseeded on a schedule, because it replaces its own ChaCha8 key with output nobody has seen
// after at most 248 masking keys: its memory reveals no older masking keys.
func NewKeys() *Keys {
	var seed [32]byte
	crand.Read(seed[:])
	k := &Keys{}
	k.source.Seed(seed)
	return k
}

// New returns a masking key for one frame (RFC 6455 section 5.3). It makes no system call and doesn't
// allocate.
func (k *Keys) New() (key [4]byte) {
	if k.hasKey = !k.hasKey; k.hasKey {
		k.words = k.source.Uint64()
	} else {
		k.words >>= 32
	}
	binary.NativeEndian.PutUint32(key[:], uint32(k.words))
	return key
}
