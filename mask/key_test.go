package mask

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"testing"

	"github.com/seed004e8d11/websock/internal/race"
)

func TestKeysDiffer(t *testing.T) {
	// Among 4096 keys of 32 bits, a collision is a matter of 1 in 500; three, of
	// 1 in 10^9.
	seen := make(map[[4]byte]bool)
	collisions := 0
	for range 4096 {
		key := NewKey()
		if seen[key] {
			collisions++
		}
		seen[key] = true
	}
	if collisions > 2 {
		t.Errorf("%d collisions among 4096 keys", collisions)
	}
}

func TestEveryKeyBitVaries(t *testing.T) {
	const keys = 1 << 14
	var ones [32]int
	for range keys {
		key := NewKey()
		for w := binary.LittleEndian.Uint32(key[:]); w != 0; w &= w - 1 {
			ones[bits.TrailingZeros32(w)]++
		}
	}
	// Eight standard deviations: half of sqrt(keys) each.
	const slack = 8 * 64
	for bit, n := range ones {
		if n < keys/2-slack || n > keys/2+slack {
			t.Errorf("bit %d set in %d of %d keys", bit, n, keys)
		}
	}
}

func TestNewKeyConcurrently(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				NewKey()
			}
		})
	}
	wg.Wait()
}

func TestNewKeyDoesNotAllocate(t *testing.T) {
	if race.Enabled {
		t.Skip("under the race detector a sync.Pool drops items at random")
	}
	NewKey()
	if n := testing.AllocsPerRun(1000, func() { NewKey() }); n != 0 {
		t.Errorf("%v allocations a key", n)
	}
}

func BenchmarkNewKey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		NewKey()
	}
}
