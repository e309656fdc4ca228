package conformance

import "github.com/seed004e8d11/websock"

// opcodes: reserved ones end the connection (RFC 6455 section 5.2).
var opcodes = []row{
	{number: "4.1.1", behaviour: "opcode 3", talk: talk(opcode(3).fails(websock.CloseProtocolError))},
	{number: "4.1.2", behaviour: "opcode 4 with payload", talk: talk(opcode(4).with("reserved").fails(websock.CloseProtocolError))},
	{number: "4.1.3", behaviour: "opcode 5 behind a text, before a ping", talk: talk(
		text("Hello").echoed(), opcode(5).fails(websock.CloseProtocolError), ping(""))},
	{number: "4.1.4", behaviour: "opcode 6 with payload, behind a text", talk: talk(
		text("Hello").echoed(), opcode(6).with("Hello").fails(websock.CloseProtocolError), ping(""))},
	{number: "4.1.5", behaviour: "opcode 7 with payload, byte by byte", talk: talk(
		text("Hello").echoed(), opcode(7).with("Hello").fails(websock.CloseProtocolError), ping("")), pieces: 1},

	{number: "4.2.1", behaviour: "opcode 11", talk: talk(opcode(11).fails(websock.CloseProtocolError))},
	{number: "4.2.2", behaviour: "opcode 12 with payload", talk: talk(opcode(12).with("reserved").fails(websock.CloseProtocolError))},
	{number: "4.2.3", behaviour: "opcode 13 behind a text, before a ping", talk: talk(
		text("Hello").echoed(), opcode(13).fails(websock.CloseProtocolError), ping(""))},
	{number: "4.2.4", behaviour: "opcode 14 with payload, behind a text", talk: talk(
		text("Hello").echoed(), opcode(14).with("Hello").fails(websock.CloseProtocolError), ping(""))},
	{number: "4.2.5", behaviour: "opcode 15 with payload, byte by byte", talk: talk(
		text("Hello").echoed(), opcode(15).with("Hello").fails(websock.CloseProtocolError), ping("")), pieces: 1},

	{number: "4.3.1", behaviour: "opcode 3 within a message", talk: talk(
		text("Hel").begun(), opcode(3).with("lo").fails(websock.CloseProtocolError))},
	{number: "4.3.2", behaviour: "opcode 11 within a message", talk: talk(
		text("Hel").begun(), opcode(11).fails(websock.CloseProtocolError), cont("lo"))},
}
