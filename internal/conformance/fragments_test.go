package conformance

import (
	"iter"

	"github.com/seed004e8d11/websock"
)

// fragmentation has messages in several frames, control frames between them, and frames in the wrong
// order (RFC 6455 section 5.4).
var fragmentation = []row{
	{number: "5.1", behaviour: "a fragmented ping", talk: talk(
		ping("frag").begun().fails(websock.CloseProtocolError), cont("ment"))},
	{number: "5.2", behaviour: "a fragmented pong", talk: talk(
		pong("frag").begun().fails(websock.CloseProtocolError), cont("ment"))},
	{number: "5.3", behaviour: "a text in two fragments is echoed whole", talk: twoFragments},
	{number: "5.4", behaviour: "the same, each frame in one piece", talk: twoFragments, pieces: wholeFrames},
	{number: "5.5", behaviour: "the same, byte by byte", talk: twoFragments, pieces: 1},
	{number: "5.6", behaviour: "a ping between two fragments is answered before the message is complete", talk: pingBetween},
	{number: "5.7", behaviour: "the same, each frame in one piece", talk: pingBetween, pieces: wholeFrames},
	{number: "5.8", behaviour: "the same, byte by byte", talk: pingBetween, pieces: 1},
	{number: "5.9", behaviour: "a final continuation with nothing to continue", talk: unexpectedContinuation},
	{number: "5.10", behaviour: "the same, each frame in one piece", talk: unexpectedContinuation, pieces: wholeFrames},
	{number: "5.11", behaviour: "the same, byte by byte", talk: unexpectedContinuation, pieces: 1},
	{number: "5.12", behaviour: "a continuation with nothing to continue, and more to come", talk: unexpectedFragment},
	{number: "5.13", behaviour: "the same, each frame in one piece", talk: unexpectedFragment, pieces: wholeFrames},
	{number: "5.14", behaviour: "the same, byte by byte", talk: unexpectedFragment, pieces: 1},
	{number: "5.15", behaviour: "a continuation after the last fragment of a message", talk: talk(
		text("frag").begun(), cont("ment").gets(text("fragment")), cont("more").begun().fails(websock.CloseProtocolError), text("unfragmented"))},
	{number: "5.16", behaviour: "a continuation before the first fragment, with more to come", talk: talk(
		cont("early").begun().fails(websock.CloseProtocolError), text("frag").begun(), cont("ment"),
		cont("early").begun(), text("frag").begun(), cont("ment"))},
	{number: "5.17", behaviour: "a final continuation before the first fragment", talk: talk(
		cont("early").fails(websock.CloseProtocolError), text("frag").begun(), cont("ment"),
		cont("early"), text("frag").begun(), cont("ment"))},
	{number: "5.18", behaviour: "a second text where a continuation has to be", talk: talk(
		text("frag").begun(), text("ment").fails(websock.CloseProtocolError))},
	{number: "5.19", behaviour: "five fragments, pings between them", talk: fiveFragments},
	{number: "5.20", behaviour: "the same, each frame in one piece", talk: fiveFragments, pieces: wholeFrames},
	{number: "5.21", behaviour: "a binary message within a text", talk: talk(
		text("frag").begun(), ping("").gets(pong("")), binaryOf("ment").fails(websock.CloseProtocolError))},
	{number: "5.22", behaviour: "a fragmented message within another", talk: talk(
		binaryOf("frag").begun(), binaryOf("ment").begun().fails(websock.CloseProtocolError))},
	{number: "5.23", behaviour: "a fragmented close frame", talk: talk(
		closing(status(1000, "")).begun().fails(websock.CloseProtocolError), cont(""))},
	{number: "5.24", behaviour: "binary fragments, all empty but one", talk: talk(
		binaryOf("").begun(), cont("\xff").begun(), cont("").begun(), cont("").gets(binaryOf("\xff")))},
}

var (
	twoFragments = talk(text("frag").begun(), cont("ment").gets(text("fragment")))

	pingBetween = talk(text("frag").begun(), ping("between").gets(pong("between")), cont("ment").gets(text("fragment")))

	unexpectedContinuation = talk(cont("nothing").fails(websock.CloseProtocolError), text("Hello"))

	unexpectedFragment = talk(cont("nothing").begun().fails(websock.CloseProtocolError), text("Hello"))

	fiveFragments iter.Seq[frame] = talk(
		text("one ").begun(), cont("two ").begun(), ping("first").gets(pong("first")),
		cont("three ").begun(), cont("four ").begun(), ping("second").gets(pong("second")),
		cont("five").gets(text("one two three four five")))
)
