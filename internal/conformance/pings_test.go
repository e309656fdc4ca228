package conformance

import (
	"iter"
	"strconv"
	"strings"

	"github.com/seed004e8d11/websock"
)

// pings: every ping is answered with its payload, and pongs are taken (RFC 6455 sections
// 5.5.2 and 5.5.3).
var pings = []row{
	{number: "2.1", behaviour: "a ping without payload", talk: talk(ping("").gets(pong("")))},
	{number: "2.2", behaviour: "a ping with text", talk: talk(ping("Hello").gets(pong("Hello")))},
	{number: "2.3", behaviour: "a ping with bytes that are no text", talk: talk(ping("\x00\xff\xfe\xfd\xfc\xfb\x00\xff").gets(pong("\x00\xff\xfe\xfd\xfc\xfb\x00\xff")))},
	{number: "2.4", behaviour: "the longest ping", talk: talk(ping(notText(125)).gets(pong(notText(125))))},
	{number: "2.5", behaviour: "a ping one byte too long ends the connection", talk: talk(ping(notText(126)).fails(websock.CloseProtocolError))},
	{number: "2.6", behaviour: "the longest ping, byte by byte", talk: talk(ping(notText(125)).gets(pong(notText(125)))), pieces: 1},
	{number: "2.7", behaviour: "a pong that nobody asked for is no error and gets no answer", talk: talk(pong(""))},
	{number: "2.8", behaviour: "such a pong with payload", talk: talk(pong("unsolicited"))},
	{number: "2.9", behaviour: "such a pong, and then a ping", talk: talk(pong("unsolicited"), ping("a ping").gets(pong("a ping")))},
	{number: "2.10", behaviour: "ten pings are answered in order", talk: tenPings},
	{number: "2.11", behaviour: "ten pings, byte by byte", talk: tenPings, pieces: 1},
	{number: "2.12", behaviour: "a ping that says it has 64 KiB ends the connection before they come", talk: talk(
		ping("").declares(65536).fails(websock.CloseProtocolError))},
	{number: "2.13", behaviour: "a pong one byte too long ends the connection", talk: talk(pong(notText(126)).fails(websock.CloseProtocolError))},
	{number: "2.14", behaviour: "pings before, within and after a message are answered where they stand", talk: talk(
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
