package assign

import "math/bits"

// A Weight is a member's share beside those of others, in steps of 1/65536.
type Weight uint64

// MaxWeight is the greatest Weight, 65536.
const MaxWeight Weight = 1 << 32

// WeightOf returns the Weight closest to w: 0 if w is not a number, or not positive, and else
// between 1/65536 and MaxWeight.
func WeightOf(w float64) Weight {
	switch scaled := w * (1 << 16); { // exact
	case !(scaled > 0):
		return 0
	case scaled < 1:
		return 1
	case scaled > float64(MaxWeight):
		return MaxWeight
	default:
		return Weight(scaled)
	}
}

// Float returns a Weight as a number.
func (w Weight) Float() float64 { return float64(w) / (1 << 16) }

// A Candidate is a member that may hold partitions, unless its Weight is 0.
type Candidate struct {
	ID     string
	Weight Weight
}

// Owner returns the ID of the member that is to hold a partition, "" if none can. Each member has a
// score for each partition, which depends on nothing else, and the best one wins: if a member goes,
// only its own partitions move, and if one comes, only those that it gets.
func Owner(partition int, members []Candidate) string {
	var best score
	for i := range members {
		if c := scoreOf(partition, hash(members[i].ID), &members[i]); c.better(best) {
			best = c
		}
	}
	return best.id()
}

// A score is better, the smaller draw/weight is. draw has an exponential distribution, as if the
// member waited for an event that happens the more often, the greater its weight is: the first one
// wins, and so each wins in proportion to its weight.
type score struct {
	draw uint64
	of   *Candidate // nil: worse than any
}

func scoreOf(partition int, id uint64, c *Candidate) score {
	if c.Weight == 0 {
		return score{}
	}
	return score{negLog2(mix(id ^ mix(uint64(partition)+0x9e3779b97f4a7c15))), c}
}

func (s score) better(than score) bool {
	if s.of == nil || than.of == nil {
		return s.of != nil
	}
	hi, lo := bits.Mul64(s.draw, uint64(than.of.Weight))
	hi2, lo2 := bits.Mul64(than.draw, uint64(s.of.Weight))
	switch {
	case hi != hi2:
		return hi < hi2
	case lo != lo2:
		return lo < lo2
	default:
		return s.of.ID < than.of.ID
	}
}

func (s score) id() string {
	if s.of == nil {
		return ""
	}
	return s.of.ID
}

// logFraction is how many bits of a logarithm are behind the point.
const logFraction = 40

// log2Table has the binary logarithms of 1 + i/256. math.Log2 isn't the same to the bit on all
// architectures.
var log2Table = func() (table [257]uint64) {
	for i := range uint64(256) {
		x := (256 + i) << 55 // 63 bits behind the point
		for range logFraction {
			// Squaring doubles the logarithm: whether it passes 1 is its next bit.
			hi, lo := bits.Mul64(x, x)
			table[i] <<= 1
			if hi>>63 == 1 {
				table[i] |= 1
				x = hi
			} else {
				x = hi<<1 | lo>>63
			}
		}
	}
	table[256] = 1 << logFraction
	return table
}()

// negLog2 returns -log2((h+1) / 2^64) with logFraction bits behind the point, but for an error
// of some millionths, and at least 1.
func negLog2(h uint64) uint64 {
	h |= 1
	whole := uint64(bits.Len64(h) - 1)
	x := h << (63 - whole) // 1 to 2, 63 bits behind the point
	i := x >> 55 & 255
	rest := x >> 24 & (1<<31 - 1) // how far from log2Table[i] to the next
	log := whole<<logFraction + log2Table[i] + (log2Table[i+1]-log2Table[i])*rest>>31
	return 64<<logFraction - log + 1
}
