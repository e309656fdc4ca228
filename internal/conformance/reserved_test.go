package conformance

import "github.com/seed004e8d11/websock"

// reservedBits: without an extension that gives them a meaning they end the connection,
// and what came before is answered (RFC 6455 section 5.2).
var reservedBits = []row{
	{number: "3.1", behaviour: "RSV3 on a text", talk: talk(text("Hello").rsvBits(1).fails(websock.CloseProtocolError))},
	{number: "3.2", behaviour: "RSV2 on the second text, a ping behind it", talk: talk(
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
