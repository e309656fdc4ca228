package exchange

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// A book has the sizes in hundredths, by the price in cents.
type book struct{ bids, asks map[int]int }

const (
	middle = 100_00 // bids are below, asks above
	depth  = 30     // prices on each side
)

func newBook(r *rand.Rand) *book {
	b := &book{bids: map[int]int{}, asks: map[int]int{}}
	for range depth {
		b.change(r)
	}
	return b
}

// change changes some levels, and returns them as a message has them.
func (b *book) change(r *rand.Rand) (bids, asks [][2]string) {
	for range 1 + r.IntN(3) {
		price, size := 1+r.IntN(depth), r.IntN(500)
		if r.IntN(3) == 0 {
			size = 0
		}
		if r.IntN(2) == 0 {
			bids = append(bids, set(b.bids, middle-price, size))
		} else {
			asks = append(asks, set(b.asks, middle+price, size))
		}
	}
	return bids, asks
}

func set(side map[int]int, price, size int) [2]string {
	side[price] = size
	if size == 0 {
		delete(side, price)
	}
	return text(price, size)
}

func text(price, size int) [2]string {
	return [2]string{fmt.Sprintf("%d.%02d", price/100, price%100), fmt.Sprintf("%d.%02d", size/100, size%100)}
}

// levels returns both sides as a message has them, the best levels first.
func (b *book) levels() (bids, asks [][2]string) {
	for _, price := range slices.SortedFunc(maps.Keys(b.bids), func(x, y int) int { return cmp.Compare(y, x) }) {
		bids = append(bids, text(price, b.bids[price]))
	}
	for _, price := range slices.Sorted(maps.Keys(b.asks)) {
		asks = append(asks, text(price, b.asks[price]))
	}
	return bids, asks
}

func (b *book) checksum() uint32 {
	var s strings.Builder
	bids, asks := b.levels()
	for i := range 10 {
		if i < len(bids) {
			fmt.Fprintf(&s, ":%s:%s", bids[i][0], bids[i][1])
		}
		if i < len(asks) {
			fmt.Fprintf(&s, ":%s:%s", asks[i][0], asks[i][1])
		}
	}
	return crc32.ChecksumIEEE([]byte(strings.TrimPrefix(s.String(), ":")))
}
