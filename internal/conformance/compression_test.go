package conformance

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/race"
)

// A corpus is data that messages are cut from, one after the other.
type corpus struct {
	name  string
	first func(string) frame
	all   string
}

// corpora resemble those of the Autobahn test suite.
var corpora = []corpus{
	{"JSON", text, generated(func(r *rand.Rand) string {
		return fmt.Sprintf(`{"id":%d,"name":"%s","tags":["%s","%s"],"score":%.4f},`+"\n", r.IntN(1e6), anyWord(r), anyWord(r), anyWord(r), r.Float64())
	})},
	{"a bitmap", binaryOf, generated(func(r *rand.Rand) string {
		level := byte(r.IntN(200))
		line := make([]byte, 64)
		for i := range line {
			line[i] = level + byte(i/8) + byte(r.IntN(3))
		}
		return string(line)
	})},
	{"prose", text, generated(func(r *rand.Rand) string { return anyWord(r) + " " })},
	{"HTML", text, generated(func(r *rand.Rand) string {
		return fmt.Sprintf("<tr class=\"row\"><td>%s</td><td align=\"right\">%d</td></tr>\n", anyWord(r), r.IntN(1000))
	})},
	{"compressed data", binaryOf, generated(func(r *rand.Rand) string { return string([]byte{byte(r.Uint32()), byte(r.Uint32())}) })},
}

func anyWord(r *rand.Rand) string {
	words := strings.Fields("Habe nun ach Philosophie Juristerei und Medizin und leider auch Theologie durchaus studiert mit heißem Bemühn")
	return words[r.IntN(len(words))]
}

// generated returns at least 256 KiB of pieces.
func generated(piece func(*rand.Rand) string) string {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for b.Len() < 256<<10 {
		b.WriteString(piece(r))
	}
	return b.String()
}

// A volume is the size of messages and of their fragments.
type volume struct {
	size int // of each message
	each int // of each fragment; 0: unfragmented
}

// volumes are those of the Autobahn test suite.
var volumes = []volume{
	{16, 0}, {64, 0}, {256, 0}, {1 << 10, 0}, {4 << 10, 0}, {8 << 10, 0}, {16 << 10, 0}, {32 << 10, 0}, {64 << 10, 0}, {128 << 10, 0},
	{8 << 10, 256}, {16 << 10, 256}, {32 << 10, 256}, {64 << 10, 256}, {128 << 10, 256}, {128 << 10, 1 << 10}, {128 << 10, 4 << 10}, {128 << 10, 32 << 10},
}

func (v volume) String() string {
	if v.each == 0 {
		return fmt.Sprintf("messages of %d bytes", v.size)
	}
	return fmt.Sprintf("messages of %d bytes in fragments of %d", v.size, v.each)
}

// times returns the number of messages: enough for the first to leave the window where that is
// possible, and at least two.
func (v volume) times() int {
	most := map[bool]int{false: 4 << 10, true: 2 << 10}[race.Enabled]
	return min(max(most/v.size, 2), 20)
}

// messages returns messages compressed as the peer of an endpoint with z does, in fragments of the
// compressed payload.
func (c corpus) messages(v volume, z websock.Compression) iter.Seq[frame] {
	d := newDeflater(z.RecvTakeover, z.RecvWindowBits)
	size := reduced(v.size)
	var frames []frame
	for i := range v.times() {
		p := c.at(i*size, size)
		frames = append(frames, c.compressed(d.message(p), p, v.each)...)
	}
	return slices.Values(frames)
}

// at returns n bytes from an offset, continuing at the start. Text isn't cut within a code point.
func (c corpus) at(place, n int) string {
	place %= len(c.all)
	p := (c.all[place:] + c.all)[:n]
	if c.first("").op == websock.OpText {
		p = strings.ToValidUTF8(p, "?")
	}
	return p
}

func (c corpus) compressed(payload, plain string, each int) (frames []frame) {
	f := c.first
	for each > 0 && len(payload) > each {
		frames = append(frames, f(payload[:each]).begun())
		payload, f = payload[each:], cont
	}
	frames = append(frames, f(payload).gets(c.first(plain)))
	frames[0] = frames[0].rsvBits(rsv1)
	return frames
}

// agreements are the parameter sets of the Autobahn test suite, the same for both directions except
// in the last one.
var agreements = []struct {
	name string
	z    websock.Compression
}{
	{"takeover", agreement(true, 15)},
	{"no takeover", agreement(false, 15)},
	{"takeover, windows of 9 bits", agreement(true, 9)},
	{"takeover, explicit windows of 15 bits", agreement(true, 0).Normal()},
	{"no takeover, windows of 9 bits", agreement(false, 9)},
	{"no takeover, explicit windows of 15 bits", agreement(false, 0).Normal()},
	{"different directions", websock.Compression{Level: 6, SendWindowBits: 9, RecvTakeover: true, RecvWindowBits: 12}},
}

func agreement(takeover bool, bits int) websock.Compression {
	return websock.Compression{Level: 1, SendTakeover: takeover, RecvTakeover: takeover, SendWindowBits: bits, RecvWindowBits: bits}
}

// compression returns all cases of families 12 and 13.
var compression = sync.OnceValue(func() (rows []row) {
	for i, c := range corpora {
		for j, v := range volumes {
			rows = append(rows, row{
				number:      fmt.Sprintf("12.%d.%d", i+1, j+1),
				behaviour:   fmt.Sprintf("%s: %v", c.name, v),
				talk:        c.messages(v, agreements[0].z),
				compression: agreements[0].z,
			})
		}
	}
	rows = append(rows, deflated...)
	for i, a := range agreements {
		for j, v := range volumes {
			rows = append(rows, row{
				number:      fmt.Sprintf("13.%d.%d", i+1, j+1),
				behaviour:   fmt.Sprintf("%s: %v", a.name, v),
				talk:        corpora[0].messages(v, a.z),
				compression: a.z,
			})
		}
	}
	return rows
})

const (
	hello      = "\xf2\x48\xcd\xc9\xc9\x07\x00" // RFC 7692 section 7.2.3.1
	helloAgain = "\xf2\x00\x11\x00\x00"         // section 7.2.3.2
)

// compressedText returns a compressed text in one frame.
func compressedText(payload string) frame { return text(payload).rsvBits(rsv1) }

// deflated are our own cases: valid and invalid payloads, byte by byte.
var deflated = with(agreements[0].z,
	row{number: "12.6.1", behaviour: "one block", talk: talk(compressedText(hello).gets(text("Hello")))},
	row{number: "12.6.2", behaviour: "a message that refers to the one before", talk: talk(
		compressedText(hello).gets(text("Hello")), compressedText(helloAgain).gets(text("Hello")))},
	row{number: "12.6.3", behaviour: "two fragments, a ping between them", talk: talk(
		compressedText(hello[:3]).begun(), ping("a").gets(pong("a")), cont(hello[3:]).gets(text("Hello")))},
	row{number: "12.6.4", behaviour: "a stored block", talk: talk(compressedText("\x00\x05\x00\xfa\xffHello\x00").gets(text("Hello")))},
	row{number: "12.6.5", behaviour: "a block marked as the last", talk: talk(
		compressedText("\xf3\x48\xcd\xc9\xc9\x07\x00\x00").gets(text("Hello")), compressedText(helloAgain).gets(text("Hello")))},
	row{number: "12.6.6", behaviour: "two blocks", talk: talk(
		compressedText("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00").gets(text("Hello")))},
	row{number: "12.6.7", behaviour: "an empty message", talk: talk(compressedText("\x00").gets(text("")), compressedText("\x02\x00").gets(text("")))},
	row{number: "12.6.8", behaviour: "uncompressed messages are no part of the history", talk: talk(
		compressedText(hello).gets(text("Hello")), text("between").echoed(), compressedText(helloAgain).gets(text("Hello")))},
	row{number: "12.6.9", behaviour: "RSV1 in a continuation", talk: talk(
		compressedText(hello[:3]).begun(), cont(hello[3:]).rsvBits(rsv1).fails(websock.CloseProtocolError))},
	row{number: "12.6.10", behaviour: "RSV1 in a continuation of an uncompressed message", talk: talk(
		text("a").begun(), cont(hello).rsvBits(rsv1).fails(websock.CloseProtocolError))},
	row{number: "12.6.11", behaviour: "RSV1 in a ping", talk: talk(ping("").rsvBits(rsv1).fails(websock.CloseProtocolError))},
	row{number: "12.6.12", behaviour: "RSV1 in a close frame", talk: talk(closing("").rsvBits(rsv1).fails(websock.CloseProtocolError))},
	row{number: "12.6.13", behaviour: "RSV2", talk: talk(text(hello).rsvBits(2).fails(websock.CloseProtocolError))},
	row{number: "12.6.14", behaviour: "RSV1 and RSV3", talk: talk(text(hello).rsvBits(5).fails(websock.CloseProtocolError))},
	row{number: "12.6.15", behaviour: "a reserved block type", talk: talk(
		compressedText(hello).gets(text("Hello")), compressedText("\x07\x00\x00").failsAt(1, websock.CloseInvalidPayload))},
	row{number: "12.6.16", behaviour: "a distance that goes too far back", talk: talk(
		compressedText(helloAgain+"\x00").failsAt(3, websock.CloseInvalidPayload))},
	row{number: "12.6.17", behaviour: "a stored block whose lengths don't match", talk: talk(
		compressedText("\x00\x05\x00\xfa\xfeHello\x00").failsAt(5, websock.CloseInvalidPayload))},
	row{number: "12.6.18", behaviour: "the end within a block", talk: talk(
		compressedText(hello[:4]).failsAt(4, websock.CloseInvalidPayload))},
	row{number: "12.6.19", behaviour: "an invalid byte in inflated text", talk: talk(
		compressedText("\x00\x05\x00\xfa\xffab\xffcd\x00").failsAt(8, websock.CloseInvalidPayload))},
	row{number: "12.6.20", behaviour: "inflated text that ends within a code point", talk: talk(
		compressedText("\x00\x02\x00\xfd\xffa\xc3\x00").failsAt(8, websock.CloseInvalidPayload))},
	row{number: "12.6.21", behaviour: "a message that inflates to more than the limit", limits: websock.Limits{MessageSize: 4}, talk: talk(
		compressedText("\x00\x05\x00\xfa").begun(), cont("\xffHello\x00").failsAt(6, websock.CloseMessageTooBig))},
)

// with sets the negotiated compression of rows.
func with(z websock.Compression, rows ...row) []row {
	for i := range rows {
		rows[i].compression = z
	}
	return rows
}
