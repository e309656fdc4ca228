package assign

// PartitionOf returns which of n partitions a key is in. n has to be positive.
func PartitionOf(key string, n int) int { return int(hash(key) % uint64(n)) }

// hash is FNV-1a of 64 bits with mix, because of FNV's low bits alone each depends on few of the key's.
func hash(s string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return mix(h)
}

// mix is the last step of SplitMix64: each bit of the result depends on all bits of x.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
