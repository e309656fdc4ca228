package assign

import "testing"

// The values were computed by another program, from the descriptions of FNV-1a and SplitMix64. They must
// never change: members of all versions share the partitions.
func TestAKeyIsInItsPartition(t *testing.T) {
	for _, c := range []struct {
		key           string
		hash          uint64
		of256, of4096 int
	}{
		{"", 0xf52a15e9a9b5e89b, 155, 2203},
		{"a", 0x2c0bdbf481420f8, 248, 248},
		{"foobar", 0x404da9e3b74078c2, 194, 2242},
		{"BTC-USDT", 0xc6f2c5a2e2cbfcb0, 176, 3248},
		{"user/1", 0x9a749b9b3e6c8620, 32, 1568},
		{"\x00", 0x25fc6dd36ce04b20, 32, 2848},
		{"äöü", 0x3d9bbe8192ae905a, 90, 90},
	} {
		if got := hash(c.key); got != c.hash {
			t.Errorf("hash(%q) = %#x, want %#x", c.key, got, c.hash)
		}
		if got := PartitionOf(c.key, 256); got != c.of256 {
			t.Errorf("PartitionOf(%q, 256) = %d, want %d", c.key, got, c.of256)
		}
		if got := PartitionOf(c.key, 4096); got != c.of4096 {
			t.Errorf("PartitionOf(%q, 4096) = %d, want %d", c.key, got, c.of4096)
		}
		if got := PartitionOf(c.key, 1); got != 0 {
			t.Errorf("PartitionOf(%q, 1) = %d", c.key, got)
		}
	}
}

func TestSimilarKeysAreSpreadOverThePartitions(t *testing.T) {
	const n, each = 256, 100
	count := make([]int, n)
	for i := range n * each {
		key := []byte("feed-000000")
		for at, rest := len(key)-1, i; rest > 0; at, rest = at-1, rest/10 {
			key[at] = byte('0' + rest%10)
		}
		count[PartitionOf(string(key), n)]++
	}
	for p, got := range count {
		if got < each/2 || got > each*3/2 { // five standard deviations
			t.Errorf("partition %d has %d keys, about %d expected", p, got, each)
		}
	}
}
