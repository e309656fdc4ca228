package main

import (
	"errors"
	"strings"
	"testing"
)

// The checksums are those of another implementation of CRC-32.
func TestUpdatesAreCheckedAndApplied(t *testing.T) {
	const before = 2759573059
	change := func(price, size string) [][2]string { return [][2]string{{price, size}} }
	for name, c := range map[string]struct {
		update message
		bids   string // prices and sizes afterwards
		err    error
	}{
		"no change":              {message{Prev: 5, Seq: 6, Checksum: before}, "99.50:1.00 99.00:2.5", nil},
		"an update again":        {message{Prev: 4, Seq: 5, Bids: change("98", "1")}, "99.50:1.00 99.00:2.5", nil},
		"a new price":            {message{Prev: 5, Seq: 9, Bids: change("99.25", "1"), Checksum: 3195828351}, "99.50:1.00 99.25:1 99.00:2.5", nil},
		"another text":           {message{Prev: 5, Seq: 6, Bids: change("99.5", "4"), Checksum: 3}, "", errChecksum},
		"another size":           {message{Prev: 5, Seq: 6, Bids: change("99.50", "4"), Checksum: 1936383812}, "99.50:4 99.00:2.5", nil},
		"size 0":                 {message{Prev: 5, Seq: 6, Bids: change("99.50", "0.00"), Checksum: 570868231}, "99.00:2.5", nil},
		"size 0 and no such bid": {message{Prev: 5, Seq: 6, Bids: change("99.51", "0"), Checksum: before}, "99.50:1.00 99.00:2.5", nil},
		"a gap":                  {message{Prev: 6, Seq: 7, Checksum: before}, "", errGap},
		"a negative price":       {message{Prev: 5, Seq: 6, Bids: change("-1", "1"), Checksum: before}, "", errNumber},
		"a size of text":         {message{Prev: 5, Seq: 6, Asks: change("1", "much"), Checksum: before}, "", errNumber},
		"too many decimals":      {message{Prev: 5, Seq: 6, Asks: change("1", "0.123456789"), Checksum: before}, "", errNumber},
	} {
		b := &book{}
		err := b.reset(&message{
			Seq: 5, Checksum: before,
			Bids: [][2]string{{"99.00", "2.5"}, {"99.50", "1.00"}},
			Asks: [][2]string{{"100.50", "3"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.update(&c.update); !errors.Is(err, c.err) {
			t.Errorf("%s: error %v, want %v", name, err, c.err)
		} else if err != nil {
			continue
		}
		var bids []string
		for _, l := range b.bids {
			bids = append(bids, l.price+":"+l.size)
		}
		if got := strings.Join(bids, " "); got != c.bids {
			t.Errorf("%s: bids %s, want %s", name, got, c.bids)
		}
	}
}
