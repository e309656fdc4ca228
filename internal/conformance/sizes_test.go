package conformance

import (
	"fmt"
	"iter"
	"strings"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/race"
)

// largest is the size of the largest message that the default limits allow. Under the race
// detector, which makes everything ten times slower, sizes above 64 KiB and counts are divided by
// divisor.
const largest = websock.DefaultMessageSize

var divisor = map[bool]int{false: 1, true: 32}[race.Enabled]

func reduced(size int) int {
	if size <= 64<<10 {
		return size
	}
	return max(size/divisor, 64<<10)
}

// Payloads are cut from these. They repeat every 16 bytes, so that messages end between code points,
// which fragments need not.
var (
	longText   = strings.Repeat("κόσμε 你!!", largest/16)
	longBinary = strings.Repeat("\x00\xff\xfe\x80\xed\xa0\x01\x7f", largest/8)
)

// A kind is text or binary.
type kind struct {
	name  string
	first func(payload string) frame
	long  string
}

var kinds = []kind{{"text", text, longText}, {"binary", binaryOf, longBinary}}

// manyFragments allows the fragments of a case that exceeds the default.
var manyFragments = websock.Limits{Fragments: 1 << 20}

// fragments returns a message of size bytes in frames of at most each bytes.
func (k kind) fragments(size, each int) iter.Seq[frame] {
	return func(yield func(frame) bool) {
		f := k.first
		for at := 0; at < size; at += each {
			end := min(at+each, size)
			next := f(k.long[at:end]).begun()
			if end == size {
				next.more = false
				next = next.gets(k.first(k.long[:size]))
			}
			if !yield(next) {
				return
			}
			f = cont
		}
	}
}

// roundTrips returns n messages of size bytes.
func (k kind) roundTrips(n, size int) iter.Seq[frame] {
	return func(yield func(frame) bool) {
		for range n {
			if !yield(k.first(k.long[:size]).echoed()) {
				return
			}
		}
	}
}

// sizes returns all cases of family 9.
func sizes() (rows []row) {
	for i, k := range kinds {
		number := func(family, n int) string { return fmt.Sprintf("9.%d.%d", family+i, n) }
		for n, size := range []int{64 << 10, 256 << 10, 1 << 20, 4 << 20, 8 << 20, 16 << 20} {
			rows = append(rows, row{
				number:    number(1, n+1),
				behaviour: fmt.Sprintf("%s of %d KiB", k.name, size>>10),
				talk:      talk(k.first(k.long[:reduced(size)]).echoed()),
			})
		}
		for n, each := range []int{64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20} {
			rows = append(rows, row{
				number:    number(3, n+1),
				behaviour: fmt.Sprintf("%s of 4 MiB in fragments of %d bytes", k.name, each),
				talk:      k.fragments(reduced(4<<20), each),
			})
		}
		for n, pieces := range []int{64, 128, 256, 512, 1024, 2048} {
			rows = append(rows, row{
				number:    number(5, n+1),
				behaviour: fmt.Sprintf("%s of 1 MiB that arrives in pieces of %d bytes", k.name, pieces),
				talk:      talk(k.first(k.long[:reduced(1<<20)]).echoed()),
				pieces:    pieces,
			})
		}
		for n, size := range []int{0, 16, 64, 256, 1024, 4096} {
			rows = append(rows, row{
				number:    number(7, n+1),
				behaviour: fmt.Sprintf("1000 round trips of a %s of %d bytes", k.name, size),
				talk:      k.roundTrips(1000/divisor, size),
			})
		}
	}
	return append(rows, bounds()...)
}

// bounds returns our own cases: as much as the limits allow, and one more.
func bounds() (rows []row) {
	k := kinds[1]
	fragments := reduced(1 << 20)
	return []row{
		{number: "9.9.1", behaviour: "1 Mi fragments of 4 bytes", talk: k.fragments(4*fragments, 4), limits: manyFragments},
		{number: "9.9.2", behaviour: "as many fragments as the default limit allows", talk: k.fragments(websock.DefaultFragments, 1)},
		{number: "9.9.3", behaviour: "one fragment more than that", talk: func(yield func(frame) bool) {
			n := 0
			for f := range k.fragments(websock.DefaultFragments+1, 1) {
				if n++; n > websock.DefaultFragments {
					f = f.fails(websock.ClosePolicyViolation)
				}
				if !yield(f) {
					return
				}
			}
		}},
		{number: "9.9.4", behaviour: "a frame above the limit of a message ends the connection before its payload arrives", talk: talk(
			text("Hello").echoed(), binaryOf("").declares(largest+1).fails(websock.CloseMessageTooBig))},
		{number: "9.9.5", behaviour: "a fragment that exceeds that limit together with those before", talk: talk(
			binaryOf("a").begun(), ping("").gets(pong("")), cont("").declares(largest).fails(websock.CloseMessageTooBig))},
		{number: "9.9.6", behaviour: "a frame that declares 2^63-1 bytes", talk: talk(
			binaryOf("").declares(1<<63 - 1).fails(websock.CloseMessageTooBig))},
		{number: "9.9.7", behaviour: "a fragment that would make the sum overflow", talk: talk(
			text("a").begun(), cont("").declares(1<<63-1).fails(websock.CloseMessageTooBig))},
	}
}

// autoFragmentation has messages as endpoints send them that fragment automatically.
var autoFragmentation = []row{
	{number: "10.1.1", behaviour: "a text of 64 KiB in fragments of 1300 bytes", talk: kinds[0].fragments(65536, 1300)},
	{number: "10.1.2", behaviour: "a binary message of 64 KiB in fragments of 1300 bytes", talk: kinds[1].fragments(65536, 1300)},
	{number: "10.1.3", behaviour: "a text in fragments of 7 bytes, so that code points are cut", talk: kinds[0].fragments(4096, 7)},
}
