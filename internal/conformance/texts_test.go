package conformance

import (
	"fmt"
	"iter"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed004e8d11/websock"
)

// greeting has code points of every length. The first invalid byte in brokenGreeting (RFC 3629
// section 4) is the second of a code point above U+10FFFF.
const (
	greeting       = "Grüße, κόσμε! 你好 🌍"
	brokenGreeting = greeting + "\xf4\x90" + "\x80\x80 and so on"
	brokenAt       = len(greeting) + 2
)

// fragmentedText has texts in several frames (RFC 6455 section 8.1): code points may be split
// anywhere, and the first invalid byte ends the connection, whatever follows it.
var fragmentedText = []row{
	{number: "6.1.1", behaviour: "an empty text", talk: talk(text("").echoed())},
	{number: "6.1.2", behaviour: "three empty fragments", talk: talk(text("").begun(), cont("").begun(), cont("").gets(text("")))},
	{number: "6.1.3", behaviour: "three fragments of which the middle one isn't empty", talk: talk(
		text("").begun(), cont("middle").begun(), cont("").gets(text("middle")))},

	{number: "6.2.1", behaviour: "code points of every length", talk: talk(text(greeting).echoed())},
	{number: "6.2.2", behaviour: "two fragments, cut between code points", talk: talk(
		text(greeting[:9]).begun(), cont(greeting[9:]).gets(text(greeting)))},
	{number: "6.2.3", behaviour: "fragments of one byte", talk: byteByByte(greeting, 0)},
	{number: "6.2.4", behaviour: "fragments of one byte, other code points", talk: byteByByte("\U00010400ﬀ߿\U0010ffff", 0)},

	{number: "6.3.1", behaviour: "an invalid byte in a text", talk: talk(text(brokenGreeting).failsAt(brokenAt, websock.CloseInvalidPayload))},
	{number: "6.3.2", behaviour: "the same in fragments of one byte", talk: byteByByte(brokenGreeting, brokenAt)},

	{number: "6.4.1", behaviour: "an invalid code point in the second of three fragments", talk: talk(
		text(greeting).begun(), cont("\xf4\x90\x80\x80").begun().failsAt(2, websock.CloseInvalidPayload), cont(" and so on"))},
	{number: "6.4.2", behaviour: "the same, cut within that code point", talk: talk(
		text(greeting+"\xf4").begun(), cont("\x90").begun().failsAt(1, websock.CloseInvalidPayload), cont("\x80\x80 and so on"))},
	{number: "6.4.3", behaviour: "one frame of which only a part has arrived, with all of the code point", talk: talk(
		text(brokenGreeting).failsAt(brokenAt, websock.CloseInvalidPayload)), pieces: len(greeting) + 4},
	{number: "6.4.4", behaviour: "one frame of which only a part has arrived, up to the invalid byte", talk: talk(
		text(brokenGreeting).failsAt(brokenAt, websock.CloseInvalidPayload)), pieces: brokenAt},

	{number: "6.24.1", behaviour: "pings within a code point that is cut in all places", talk: talk(
		text("\xf0").begun(), ping("1").gets(pong("1")), cont("\x9f").begun(), ping("2").gets(pong("2")),
		cont("\x8c").begun(), ping("3").gets(pong("3")), cont("\x8d").gets(text("🌍")))},
	{number: "6.24.2", behaviour: "a ping that isn't UTF-8 within a text, then an invalid byte", talk: talk(
		text("\xe4\xbd").begun(), ping("\xff").gets(pong("\xff")), cont("\xc0").failsAt(1, websock.CloseInvalidPayload))},
	{number: "6.24.3", behaviour: "an empty last fragment when a code point isn't complete", talk: talk(
		text("\xe4\xbd").begun(), cont("").fails(websock.CloseInvalidPayload))},
	{number: "6.24.4", behaviour: "an invalid byte far into a long text", talk: talk(
		text(repeated(40000)+"\xff"+repeated(40000)).failsAt(40001, websock.CloseInvalidPayload))},
	{number: "6.24.5", behaviour: "a binary message of the same bytes, then a text", talk: talk(
		binaryOf(brokenGreeting).echoed(), text(greeting).echoed())},
	{number: "6.24.6", behaviour: "a text after one that was fragmented within a code point", talk: talk(
		text("\xc3").begun(), cont("\xbc").gets(text("ü")), text("\xbc").failsAt(1, websock.CloseInvalidPayload))},
}

// byteByByte returns a text in fragments of one byte, the given one of which is invalid; 0: none.
func byteByByte(payload string, wrong int) iter.Seq[frame] {
	var frames []frame
	for i := range len(payload) {
		f := cont(payload[i : i+1]).begun()
		if i == 0 {
			f = text(payload[:1]).begun()
		}
		if i == wrong-1 {
			f = f.failsAt(1, websock.CloseInvalidPayload)
		}
		frames = append(frames, f)
	}
	last := &frames[len(frames)-1]
	last.more = false
	if wrong == 0 {
		*last = last.gets(text(payload))
	}
	return talk(frames...)
}

// A wholeText is a text in one frame.
type wholeText struct {
	number, behaviour string
	payload           string
	wrong             int // the first invalid byte, or the last one if a code point isn't complete; 0: valid
}

// wholeTexts are at the boundaries of RFC 3629 sections 3, 4 and 10: U+0800 is the first code point
// that takes three bytes, and so on.
var wholeTexts = []wholeText{
	{"6.5.1", "one byte", "a$b", 0},
	{"6.5.2", "two bytes", "a¢b", 0},
	{"6.5.3", "three bytes", "a€b", 0},
	{"6.5.4", "four bytes", "a\U00024b62b", 0},
	{"6.5.5", "a word of two and three bytes a letter", "κ\u1f79σμε", 0},

	{"6.6.1", "that word, after 1 byte", word[:1], 1},
	{"6.6.2", "after 2 bytes", word[:2], 0},
	{"6.6.3", "after 3 bytes", word[:3], 3},
	{"6.6.4", "after 4 bytes", word[:4], 4},
	{"6.6.5", "after 5 bytes", word[:5], 0},
	{"6.6.6", "after 6 bytes", word[:6], 6},
	{"6.6.7", "after 7 bytes", word[:7], 0},
	{"6.6.8", "after 8 bytes", word[:8], 8},
	{"6.6.9", "after 9 bytes", word[:9], 0},
	{"6.6.10", "after 10 bytes", word[:10], 10},
	{"6.6.11", "after all 11", word, 0},

	{"6.7.1", "U+0000, the first code point", "\x00", 0},
	{"6.7.2", "U+0080, the first of two bytes", "\xc2\x80", 0},
	{"6.7.3", "U+0800, the first of three bytes", "\xe0\xa0\x80", 0},
	{"6.7.4", "U+10000, the first of four bytes", "\xf0\x90\x80\x80", 0},
	{"6.8.1", "the first of what would be five bytes", "\xf8\x88\x80\x80\x80", 1},
	{"6.8.2", "the first of what would be six bytes", "\xfc\x84\x80\x80\x80\x80", 1},
	{"6.9.1", "U+007F, the last of one byte", "\x7f", 0},
	{"6.9.2", "U+07FF, the last of two bytes", "\xdf\xbf", 0},
	{"6.9.3", "U+FFFF, the last of three bytes", "\xef\xbf\xbf", 0},
	{"6.9.4", "U+10FFFF, the last of all", "\xf4\x8f\xbf\xbf", 0},
	{"6.10.1", "the last that four bytes could hold", "\xf7\xbf\xbf\xbf", 1},
	{"6.10.2", "the last that five bytes could hold", "\xfb\xbf\xbf\xbf\xbf", 1},
	{"6.10.3", "the last that six bytes could hold", "\xfd\xbf\xbf\xbf\xbf\xbf", 1},
	{"6.11.1", "U+D7FF, before the surrogates", "\xed\x9f\xbf", 0},
	{"6.11.2", "U+E000, after them", "\xee\x80\x80", 0},
	{"6.11.3", "U+FFFD, the replacement character", "\xef\xbf\xbd", 0},
	{"6.11.4", "U+10FFFF", "\xf4\x8f\xbf\xbf", 0},
	{"6.11.5", "U+110000, after the last", "\xf4\x90\x80\x80", 2},

	{"6.12.1", "the first continuation byte alone", "\x80", 1},
	{"6.12.2", "the last one alone", "\xbf", 1},
	{"6.12.3", "two of them", "\x80\xbf", 1},
	{"6.12.4", "three", "\x80\xbf\x80", 1},
	{"6.12.5", "four", "\x80\xbf\x80\xbf", 1},
	{"6.12.6", "five", "\x80\xbf\x80\xbf\x80", 1},
	{"6.12.7", "six", "\x80\xbf\x80\xbf\x80\xbf", 1},
	{"6.12.8", "all 64", bytesFrom(0x80, 64, ""), 1},
	{"6.13.1", "all first bytes of two, each followed by a space", bytesFrom(0xc0, 32, " "), 1},
	{"6.13.2", "all first bytes of three, each followed by a space", bytesFrom(0xe0, 16, " "), 2},
	{"6.13.3", "all first bytes of four, each followed by a space", bytesFrom(0xf0, 8, " "), 2},
	{"6.13.4", "what would be all first bytes of five", bytesFrom(0xf8, 4, " "), 1},
	{"6.13.5", "what would be all first bytes of six", bytesFrom(0xfc, 2, " "), 1},
	{"6.14.1", "the last of two bytes is missing, U+0000", "\xc0", 1},
	{"6.14.2", "the last of three is missing, U+0000", "\xe0\x80", 2},
	{"6.14.3", "the last of four is missing, U+0000", "\xf0\x80\x80", 2},
	{"6.14.4", "the last of five is missing", "\xf8\x80\x80\x80", 1},
	{"6.14.5", "the last of six is missing", "\xfc\x80\x80\x80\x80", 1},
	{"6.14.6", "the last of two is missing, U+07FF", "\xdf", 1},
	{"6.14.7", "the last of three is missing, U+FFFF", "\xef\xbf", 2},
	{"6.14.8", "the last of four is missing, beyond U+10FFFF", "\xf7\xbf\xbf", 1},
	{"6.14.9", "the last of five is missing, the largest", "\xfb\xbf\xbf\xbf", 1},
	{"6.14.10", "the last of six is missing, the largest", "\xfd\xbf\xbf\xbf\xbf", 1},
	{"6.15.1", "those ten in a row", "\xc0\xe0\x80\xf0\x80\x80\xf8\x80\x80\x80\xfc\x80\x80\x80\x80\xdf\xef\xbf\xf7\xbf\xbf\xfb\xbf\xbf\xbf\xfd\xbf\xbf\xbf\xbf", 1},
	{"6.16.1", "a byte that never occurs in UTF-8", "\xfe", 1},
	{"6.16.2", "the other one", "\xff", 1},
	{"6.16.3", "both of them", "\xfe\xfe\xff\xff", 1},

	{"6.17.1", "a slash in two bytes", "\xc0\xaf", 1},
	{"6.17.2", "in three", "\xe0\x80\xaf", 2},
	{"6.17.3", "in four", "\xf0\x80\x80\xaf", 2},
	{"6.17.4", "in five", "\xf8\x80\x80\x80\xaf", 1},
	{"6.17.5", "in six", "\xfc\x80\x80\x80\x80\xaf", 1},
	{"6.18.1", "U+007F in two bytes", "\xc1\xbf", 1},
	{"6.18.2", "U+07FF in three", "\xe0\x9f\xbf", 2},
	{"6.18.3", "U+FFFF in four", "\xf0\x8f\xbf\xbf", 2},
	{"6.18.4", "U+1FFFFF in five", "\xf8\x87\xbf\xbf\xbf", 1},
	{"6.18.5", "U+3FFFFFF in six", "\xfc\x83\xbf\xbf\xbf\xbf", 1},
	{"6.19.1", "U+0000 in two bytes", "\xc0\x80", 1},
	{"6.19.2", "in three", "\xe0\x80\x80", 2},
	{"6.19.3", "in four", "\xf0\x80\x80\x80", 2},
	{"6.19.4", "in five", "\xf8\x80\x80\x80\x80", 1},
	{"6.19.5", "in six", "\xfc\x80\x80\x80\x80\x80", 1},

	{"6.20.1", "the surrogate U+D800", "\xed\xa0\x80", 2},
	{"6.20.2", "the surrogate U+DB7F", "\xed\xad\xbf", 2},
	{"6.20.3", "the surrogate U+DB80", "\xed\xae\x80", 2},
	{"6.20.4", "the surrogate U+DBFF", "\xed\xaf\xbf", 2},
	{"6.20.5", "the surrogate U+DC00", "\xed\xb0\x80", 2},
	{"6.20.6", "the surrogate U+DF80", "\xed\xbe\x80", 2},
	{"6.20.7", "the surrogate U+DFFF", "\xed\xbf\xbf", 2},
	{"6.21.1", "the pair U+D800, U+DC00", "\xed\xa0\x80\xed\xb0\x80", 2},
	{"6.21.2", "the pair U+D800, U+DFFF", "\xed\xa0\x80\xed\xbf\xbf", 2},
	{"6.21.3", "the pair U+DB7F, U+DC00", "\xed\xad\xbf\xed\xb0\x80", 2},
	{"6.21.4", "the pair U+DB7F, U+DFFF", "\xed\xad\xbf\xed\xbf\xbf", 2},
	{"6.21.5", "the pair U+DB80, U+DC00", "\xed\xae\x80\xed\xb0\x80", 2},
	{"6.21.6", "the pair U+DB80, U+DFFF", "\xed\xae\x80\xed\xbf\xbf", 2},
	{"6.21.7", "the pair U+DBFF, U+DC00", "\xed\xaf\xbf\xed\xb0\x80", 2},
	{"6.21.8", "the pair U+DBFF, U+DFFF", "\xed\xaf\xbf\xed\xbf\xbf", 2},
}

// word is the text of case 6.5.5.
const word = "κ\u1f79σμε"

// bytesFrom returns n consecutive bytes, each followed by a string.
func bytesFrom(first byte, n int, after string) string {
	var s strings.Builder
	for i := range n {
		s.WriteByte(first + byte(i))
		s.WriteString(after)
	}
	return s.String()
}

// texts returns all cases of family 6.
func texts() []row {
	rows := fragmentedText
	for _, w := range wholeTexts {
		f := text(w.payload).echoed()
		if w.wrong > 0 {
			f = text(w.payload).failsAt(w.wrong, websock.CloseInvalidPayload)
		}
		rows = append(rows, row{number: w.number, behaviour: w.behaviour, talk: talk(f)})
	}
	for i := range 34 { // the last two code points of every plane
		r := rune(i/2)<<16 | 0xfffe | rune(i%2)
		rows = append(rows, row{
			number:    fmt.Sprintf("6.22.%d", i+1),
			behaviour: fmt.Sprintf("%U, a noncharacter", r),
			talk:      talk(text(string(r)).echoed()),
		})
	}
	for i := range 7 {
		r := rune(0xfff9 + i)
		rows = append(rows, row{
			number:    fmt.Sprintf("6.23.%d", i+1),
			behaviour: fmt.Sprintf("%U, of the specials", r),
			talk:      talk(text(string(r)).echoed()),
		})
	}
	return rows
}

func TestStandardLibraryRejectsTheSameBytes(t *testing.T) {
	for _, w := range wholeTexts {
		wrong := 0
		for i := 0; i < len(w.payload) && wrong == 0; {
			n := 1
			for i+n < len(w.payload) && !utf8.FullRuneInString(w.payload[i:i+n]) {
				n++
			}
			if r, size := utf8.DecodeRuneInString(w.payload[i : i+n]); r == utf8.RuneError && size == 1 {
				wrong = i + n
			}
			i += n
		}
		if wrong != w.wrong {
			t.Errorf("%s: byte %d, not %d", w.number, wrong, w.wrong)
		}
	}
}
