package main

import (
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A message is what the exchange sends.
type message struct {
	Type     string      `json:"type"` // "snapshot", "update" or "error"
	Symbol   string      `json:"symbol"`
	Prev     int64       `json:"prev"` // number of the update before this one
	Seq      int64       `json:"seq"`  // number of this one; the numbers of a subscription are its own
	Time     int64       `json:"time"` // in milliseconds, the same on all connections
	Bids     [][2]string `json:"bids"` // price and size; size 0 removes the price
	Asks     [][2]string `json:"asks"`
	Checksum uint32      `json:"checksum"` // of the book after this message
	Error    string      `json:"error"`
}

var (
	errGap      = errors.New("updates are missing")
	errChecksum = errors.New("the checksum is wrong")
	errNumber   = errors.New("no price or size")
)

// A bookState says what a book waits for.
type bookState uint8

const (
	wanted bookState = iota // for its turn to be subscribed
	asked                   // for its snapshot
	live                    // for nothing: it is that of the exchange
)

// A level is a price and a size, as decimal numbers. Their text is that of the exchange, since the
// checksum is one of text: 1.5 and 1.50 differ in it.
type level struct {
	price, size string
	value       uint64 // of the price, to compare it
}

// A book is an order book as one connection has it. It keeps its levels while it isn't live.
type book struct {
	state      bookState
	bids, asks []level   // the best one first
	seq        int64     // of the last update
	at         int64     // the exchange's time of that
	heard      time.Time // when we asked for the book or last heard of it
	wrong      time.Time // when it was not right the last time
}

// reset makes the book that of a snapshot.
func (b *book) reset(m *message) error {
	b.bids, b.asks, b.state = nil, nil, live
	return b.change(m)
}

// update changes a live book. An update that was received before is ignored.
func (b *book) update(m *message) error {
	switch {
	case m.Seq <= b.seq:
		return nil
	case m.Prev != b.seq:
		return fmt.Errorf("%w: %d follows %d and not %d", errGap, m.Seq, m.Prev, b.seq)
	}
	return b.change(m)
}

func (b *book) change(m *message) error {
	descending := func(l level, value uint64) int { return -ascending(l, value) }
	if err := errors.Join(set(&b.bids, m.Bids, descending), set(&b.asks, m.Asks, ascending)); err != nil {
		return err
	}
	b.seq, b.at = m.Seq, m.Time
	if sum := checksum(b.bids, b.asks); sum != m.Checksum {
		return fmt.Errorf("%w: %d and not %d", errChecksum, sum, m.Checksum)
	}
	return nil
}

func ascending(l level, value uint64) int {
	switch {
	case l.value < value:
		return -1
	case l.value > value:
		return 1
	}
	return 0
}

// set changes levels of one side, which are sorted by compare.
func set(side *[]level, changes [][2]string, compare func(level, uint64) int) error {
	for _, c := range changes {
		value, err := parseDecimal(c[0])
		if err != nil {
			return err
		}
		size, err := parseDecimal(c[1])
		if err != nil {
			return err
		}
		i, found := slices.BinarySearchFunc(*side, value, compare)
		switch l := (level{c[0], c[1], value}); {
		case found && size == 0:
			*side = slices.Delete(*side, i, i+1)
		case found:
			(*side)[i] = l
		case size != 0:
			*side = slices.Insert(*side, i, l)
		}
	}
	return nil
}

// parseDecimal returns a number in units of 1e-8, exactly: float64 has no 0.1.
func parseDecimal(text string) (uint64, error) {
	const decimals = 8
	whole, fraction, _ := strings.Cut(text, ".")
	if whole == "" || len(fraction) > decimals {
		return 0, fmt.Errorf("%w: %q", errNumber, text)
	}
	value, err := strconv.ParseUint(whole+fraction+strings.Repeat("0", decimals-len(fraction)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %q", errNumber, text)
	}
	return value, nil
}

// checksum is that of the exchange: CRC-32 of the ten best levels, "price:size" of bids and asks in
// turn, joined by colons.
func checksum(bids, asks []level) uint32 {
	var parts []string
	for i := range 10 {
		for _, side := range [][]level{bids, asks} {
			if i < len(side) {
				parts = append(parts, side[i].price, side[i].size)
			}
		}
	}
	return crc32.ChecksumIEEE([]byte(strings.Join(parts, ":")))
}
