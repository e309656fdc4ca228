package conformance

import (
	"math"
	"strings"

	"github.com/seed004e8d11/websock"
)

// repeated returns n bytes of text.
func repeated(n int) string { return strings.Repeat("*", n) }

// notText returns n bytes that are no UTF-8.
func notText(n int) string { return strings.Repeat("\xfe", n) }

// framing: every way to write a payload's length (RFC 6455 section 5.2), and who masks
// (section 5.1).
var framing = []row{
	{number: "1.1.1", behaviour: "an empty text comes back", talk: talk(text("").echoed())},
	{number: "1.1.2", behaviour: "the longest text with a length of 7 bits", talk: talk(text(repeated(125)).echoed())},
	{number: "1.1.3", behaviour: "the shortest text with a length of 16 bits", talk: talk(text(repeated(126)).echoed())},
	{number: "1.1.4", behaviour: "a text one byte longer, whose 7 bits would say 127", talk: talk(text(repeated(127)).echoed())},
	{number: "1.1.5", behaviour: "a text of 128 bytes, where a signed byte would be negative", talk: talk(text(repeated(128)).echoed())},
	{number: "1.1.6", behaviour: "the longest text with a length of 16 bits", talk: talk(text(repeated(65535)).echoed())},
	{number: "1.1.7", behaviour: "the shortest text with a length of 63 bits", talk: talk(text(repeated(65536)).echoed())},
	{number: "1.1.8", behaviour: "a text of 64 KiB that comes in pieces of 997 bytes", talk: talk(text(repeated(65536)).echoed()), pieces: 997},

	{number: "1.2.1", behaviour: "an empty binary message comes back", talk: talk(binaryOf("").echoed())},
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
	{number: "1.3.9", behaviour: "a continuation that is masked otherwise than what it continues", talk: talk(
		text("Hel").begun(), cont("lo").masksWrongly().fails(websock.CloseProtocolError))},
	{number: "1.3.10", behaviour: "a close frame that is masked as only the other role may", talk: talk(
		closing(status(1000, "")).masksWrongly().fails(websock.CloseProtocolError))},
}

// lengthIn writes the length in that many bytes of extended length.
func (f frame) lengthIn(bytes int) frame { f.lengthBytes = bytes; return f }

// declares makes the header say another length than the payload has.
func (f frame) declares(length uint64) frame { f.declared = length; return f }

// masksWrongly makes a server mask the frame, or a client not.
func (f frame) masksWrongly() frame { f.wrongMask = true; return f }
