package conformance

import (
	"iter"
	"math"
	"strconv"
	"strings"

	"github.com/seed004e8d11/websock"
)

// repeated returns n bytes of text.
func repeated(n int) string { return strings.Repeat("*", n) }

// notText returns n bytes that are no UTF-8.
func notText(n int) string { return strings.Repeat("\xfe", n) }

// framing has every form of a payload's length (RFC 6455 section 5.2), and masking (section 5.1).
var framing = []row{
	{number: "1.1.1", behaviour: "an empty text is echoed", talk: talk(text("").echoed())},
	{number: "1.1.2", behaviour: "the longest text with a length of 7 bits", talk: talk(text(repeated(125)).echoed())},
	{number: "1.1.3", behaviour: "the shortest text with a length of 16 bits", talk: talk(text(repeated(126)).echoed())},
	{number: "1.1.4", behaviour: "a text one byte longer, whose 7 bits would say 127", talk: talk(text(repeated(127)).echoed())},
	{number: "1.1.5", behaviour: "a text of 128 bytes, where a signed byte would be negative", talk: talk(text(repeated(128)).echoed())},
	{number: "1.1.6", behaviour: "the longest text with a length of 16 bits", talk: talk(text(repeated(65535)).echoed())},
	{number: "1.1.7", behaviour: "the shortest text with a length of 63 bits", talk: talk(text(repeated(65536)).echoed())},
	{number: "1.1.8", behaviour: "a text of 64 KiB that comes in pieces of 997 bytes", talk: talk(text(repeated(65536)).echoed()), pieces: 997},

	{number: "1.2.1", behaviour: "an empty binary message is echoed", talk: talk(binaryOf("").echoed())},
	{number: "1.2.2", behaviour: "the longest with a length of 7 bits", talk: talk(binaryOf(notText(125)).echoed())},
	{number: "1.2.3", behaviour: "the shortest with a length of 16 bits", talk: talk(binaryOf(notText(126)).echoed())},
	{number: "1.2.4", behaviour: "one byte more", talk: talk(binaryOf(notText(127)).echoed())},
	{number: "1.2.5", behaviour: "128 bytes", talk: talk(binaryOf(notText(128)).echoed())},
	{number: "1.2.6", behaviour: "the longest with a length of 16 bits", talk: talk(binaryOf(notText(65535)).echoed())},
	{number: "1.2.7", behaviour: "the shortest with a length of 63 bits", talk: talk(binaryOf(notText(65536)).echoed())},
	{number: "1.2.8", behaviour: "64 KiB that come in pieces of 997 bytes", talk: talk(binaryOf(notText(65536)).echoed()), pieces: 997},

	{number: "1.3.1", behaviour: "125 bytes with a length of 16 bits", talk: talk(
		text(repeated(125)).lengthIn(2).fails(websock.CloseProtocolError))},
	{number: "1.3.2", behaviour: "nothing with a length of 16 bits", talk: talk(
		binaryOf("").lengthIn(2).fails(websock.CloseProtocolError))},
	{number: "1.3.3", behaviour: "65535 bytes with a length of 63 bits", talk: talk(
		binaryOf(notText(65535)).lengthIn(8).fails(websock.CloseProtocolError))},
	{number: "1.3.4", behaviour: "a few bytes with a length of 63 bits", talk: talk(
		text("few").lengthIn(8).fails(websock.CloseProtocolError))},
	{number: "1.3.5", behaviour: "a length whose most significant bit is set", talk: talk(
		binaryOf("").declares(1 << 63).fails(websock.CloseProtocolError))},
	{number: "1.3.6", behaviour: "a length of 64 ones", talk: talk(
		text("").declares(math.MaxUint64).fails(websock.CloseProtocolError))},
	{number: "1.3.7", behaviour: "a text that is masked as only the other role may", talk: talk(
		text("Hello").masksWrongly().fails(websock.CloseProtocolError))},
	{number: "1.3.8", behaviour: "an empty ping that is masked as only the other role may, after a message", talk: talk(
		text("Hello").echoed(), ping("").masksWrongly().fails(websock.CloseProtocolError))},
	{number: "1.3.9", behaviour: "a continuation that is masked as only the other role may", talk: talk(
		text("Hel").begun(), cont("lo").masksWrongly().fails(websock.CloseProtocolError))},
	{number: "1.3.10", behaviour: "a close frame that is masked as only the other role may", talk: talk(
		closing(status(1000, "")).masksWrongly().fails(websock.CloseProtocolError))},
}

// lengthIn sets the number of bytes of extended length.
func (f frame) lengthIn(bytes int) frame { f.lengthBytes = bytes; return f }

// declares sets the length in the header.
func (f frame) declares(length uint64) frame { f.declared = length; return f }

// masksWrongly makes a server mask the frame, or a client leave it unmasked.
func (f frame) masksWrongly() frame { f.wrongMask = true; return f }

// pings has pings, each of which is answered with its payload, and unsolicited pongs (RFC 6455
// sections 5.5.2 and 5.5.3).
var pings = []row{
	{number: "2.1", behaviour: "a ping without payload", talk: talk(ping("").gets(pong("")))},
	{number: "2.2", behaviour: "a ping with text", talk: talk(ping("Hello").gets(pong("Hello")))},
	{number: "2.3", behaviour: "a ping with bytes that are no text", talk: talk(ping("\x00\xff\xfe\xfd\xfc\xfb\x00\xff").gets(pong("\x00\xff\xfe\xfd\xfc\xfb\x00\xff")))},
	{number: "2.4", behaviour: "the longest ping", talk: talk(ping(notText(125)).gets(pong(notText(125))))},
	{number: "2.5", behaviour: "a ping one byte too long ends the connection", talk: talk(ping(notText(126)).fails(websock.CloseProtocolError))},
	{number: "2.6", behaviour: "the longest ping, byte by byte", talk: talk(ping(notText(125)).gets(pong(notText(125)))), pieces: 1},
	{number: "2.7", behaviour: "an unsolicited pong is no error and gets no answer", talk: talk(pong(""))},
	{number: "2.8", behaviour: "an unsolicited pong with payload", talk: talk(pong("unsolicited"))},
	{number: "2.9", behaviour: "an unsolicited pong, and then a ping", talk: talk(pong("unsolicited"), ping("a ping").gets(pong("a ping")))},
	{number: "2.10", behaviour: "ten pings are answered in order", talk: tenPings},
	{number: "2.11", behaviour: "ten pings, byte by byte", talk: tenPings, pieces: 1},
	{number: "2.12", behaviour: "a ping that declares 64 KiB ends the connection before they arrive", talk: talk(
		ping("").declares(65536).fails(websock.CloseProtocolError))},
	{number: "2.13", behaviour: "a pong one byte too long ends the connection", talk: talk(pong(notText(126)).fails(websock.CloseProtocolError))},
	{number: "2.14", behaviour: "pings before, within and after a message are answered in place", talk: talk(
		ping("1").gets(pong("1")), text("a").begun(), ping("2").gets(pong("2")), cont("b").gets(text("ab")), ping("3").gets(pong("3")))},
}

var tenPings iter.Seq[frame] = func(yield func(frame) bool) {
	for i := range 10 {
		payload := strings.Repeat(strconv.Itoa(i), 1+i)
		if !yield(ping(payload).gets(pong(payload))) {
			return
		}
	}
}

// reservedBits has reserved bits, which end the connection unless an extension gives them a meaning;
// frames before that are answered (RFC 6455 section 5.2).
var reservedBits = []row{
	{number: "3.1", behaviour: "RSV3 on a text", talk: talk(text("Hello").rsvBits(1).fails(websock.CloseProtocolError))},
	{number: "3.2", behaviour: "RSV2 on the second text, before a ping", talk: talk(
		text("Hello").echoed(), text("Hello").rsvBits(2).fails(websock.CloseProtocolError), ping(""))},
	{number: "3.3", behaviour: "RSV2 and RSV3, each frame in one piece", talk: talk(
		text("Hello").echoed(), text("Hello").rsvBits(3).fails(websock.CloseProtocolError), ping("")), pieces: wholeFrames},
	{number: "3.4", behaviour: "RSV1, byte by byte", talk: talk(
		text("Hello").echoed(), text("Hello").rsvBits(4).fails(websock.CloseProtocolError), ping("")), pieces: 1},
	{number: "3.5", behaviour: "RSV1 and RSV3 on a binary message", talk: talk(
		binaryOf("\x00\xff\xfe\xfd\xfc\xfb\x00\xff").rsvBits(5).fails(websock.CloseProtocolError))},
	{number: "3.6", behaviour: "RSV1 and RSV2 on a ping", talk: talk(ping("Hello").rsvBits(6).fails(websock.CloseProtocolError))},
	{number: "3.7", behaviour: "all of them on a close frame", talk: talk(
		closing(status(1000, "")).rsvBits(7).fails(websock.CloseProtocolError))},
	{number: "3.8", behaviour: "RSV1 on a pong", talk: talk(pong("").rsvBits(4).fails(websock.CloseProtocolError))},
	{number: "3.9", behaviour: "RSV1 on a continuation", talk: talk(
		text("Hel").begun(), cont("lo").rsvBits(4).fails(websock.CloseProtocolError))},
}

// opcodes has reserved opcodes, which end the connection (RFC 6455 section 5.2).
var opcodes = []row{
	{number: "4.1.1", behaviour: "opcode 3", talk: talk(opcode(3).fails(websock.CloseProtocolError))},
	{number: "4.1.2", behaviour: "opcode 4 with payload", talk: talk(opcode(4).with("reserved").fails(websock.CloseProtocolError))},
	{number: "4.1.3", behaviour: "opcode 5 after a text, before a ping", talk: talk(
		text("Hello").echoed(), opcode(5).fails(websock.CloseProtocolError), ping(""))},
	{number: "4.1.4", behaviour: "opcode 6 with payload, after a text", talk: talk(
		text("Hello").echoed(), opcode(6).with("Hello").fails(websock.CloseProtocolError), ping(""))},
	{number: "4.1.5", behaviour: "opcode 7 with payload, byte by byte", talk: talk(
		text("Hello").echoed(), opcode(7).with("Hello").fails(websock.CloseProtocolError), ping("")), pieces: 1},

	{number: "4.2.1", behaviour: "opcode 11", talk: talk(opcode(11).fails(websock.CloseProtocolError))},
	{number: "4.2.2", behaviour: "opcode 12 with payload", talk: talk(opcode(12).with("reserved").fails(websock.CloseProtocolError))},
	{number: "4.2.3", behaviour: "opcode 13 after a text, before a ping", talk: talk(
		text("Hello").echoed(), opcode(13).fails(websock.CloseProtocolError), ping(""))},
	{number: "4.2.4", behaviour: "opcode 14 with payload, after a text", talk: talk(
		text("Hello").echoed(), opcode(14).with("Hello").fails(websock.CloseProtocolError), ping(""))},
	{number: "4.2.5", behaviour: "opcode 15 with payload, byte by byte", talk: talk(
		text("Hello").echoed(), opcode(15).with("Hello").fails(websock.CloseProtocolError), ping("")), pieces: 1},

	{number: "4.3.1", behaviour: "opcode 3 within a message", talk: talk(
		text("Hel").begun(), opcode(3).with("lo").fails(websock.CloseProtocolError))},
	{number: "4.3.2", behaviour: "opcode 11 within a message", talk: talk(
		text("Hel").begun(), opcode(11).fails(websock.CloseProtocolError), cont("lo"))},
}
