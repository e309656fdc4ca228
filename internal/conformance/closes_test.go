package conformance

import (
	"fmt"

	"github.com/seed004e8d11/websock"
)

// closingHandshake has close frames: the answer has the same code, and frames after a close frame
// are ignored (RFC 6455 sections 5.5.1, 7.1 and 7.4).
var closingHandshake = []row{
	{number: "7.1.1", behaviour: "a close frame after a text", talk: talk(text("Hello").echoed(), goodbye)},
	{number: "7.1.2", behaviour: "a second close frame gets no answer", talk: talk(goodbye, closing(status(1000, "")))},
	{number: "7.1.3", behaviour: "a ping after the close frame gets no answer", talk: talk(goodbye, ping("late"))},
	{number: "7.1.4", behaviour: "a text after the close frame is not echoed", talk: talk(goodbye, text("late"))},
	{number: "7.1.5", behaviour: "a message whose last fragment follows the close frame is not echoed", talk: talk(
		text("frag").begun(), goodbye, cont("ment"))},
	{number: "7.1.6", behaviour: "large and small messages before the close frame are echoed, a ping after it is not answered", talk: talk(
		text(repeated(256<<10)).echoed(), text("Hello").echoed(), goodbye, ping("late"))},

	{number: "7.3.1", behaviour: "a close frame without payload", talk: talk(closing("").echoed())},
	{number: "7.3.2", behaviour: "half a close code", talk: talk(closing("a").failsAt(1, websock.CloseProtocolError))},
	{number: "7.3.3", behaviour: "a code without reason", talk: talk(closing(status(1000, "")).echoed())},
	{number: "7.3.4", behaviour: "a code with reason; the answer has the code", talk: talk(
		closing(status(1000, "so be it")).gets(closing(status(1000, ""))))},
	{number: "7.3.5", behaviour: "the longest reason", talk: talk(
		closing(status(1000, repeated(123))).gets(closing(status(1000, ""))))},
	{number: "7.3.6", behaviour: "a reason one byte too long", talk: talk(
		closing(status(1000, repeated(124))).fails(websock.CloseProtocolError))},

	{number: "7.5.1", behaviour: "a reason that is no UTF-8", talk: talk(
		closing(status(1000, brokenGreeting)).failsAt(2+len(brokenGreeting), websock.CloseInvalidPayload))},

	{number: "7.14.1", behaviour: "a reason that ends within a code point", talk: talk(
		closing(status(1000, "\xe4\xbd")).failsAt(4, websock.CloseInvalidPayload))},
	{number: "7.14.2", behaviour: "a reason with code points of every length", talk: talk(
		closing(status(4000, greeting)).gets(closing(status(4000, ""))))},
	{number: "7.14.3", behaviour: "invalid frames after the close frame", talk: talk(
		goodbye, opcode(15), text("\xff"), cont(""), ping("").begun())},
	{number: "7.14.4", behaviour: "a wrong code and a wrong reason: the code counts", talk: talk(
		closing(status(1005, "\xff")).failsAt(3, websock.CloseProtocolError))},
	{number: "7.14.5", behaviour: "a wrong close frame within a message", talk: talk(
		text("frag").begun(), closing(status(1006, "")).failsAt(2, websock.CloseProtocolError), cont("ment"))},
}

// closes returns all cases of family 7.
func closes() []row {
	rows := closingHandshake
	for i, code := range []websock.CloseCode{
		1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
		1012, 1013, 1014, // registered since
	} {
		rows = append(rows, row{
			number:    fmt.Sprintf("7.7.%d", i+1),
			behaviour: fmt.Sprintf("%d is answered", code),
			talk:      talk(closing(status(code, "")).echoed()),
		})
	}
	wrong := func(number string, code websock.CloseCode) {
		rows = append(rows, row{
			number:    number,
			behaviour: fmt.Sprintf("%d must not be sent", code),
			talk:      talk(closing(status(code, "")).failsAt(2, websock.CloseProtocolError)),
		})
	}
	for i, code := range []websock.CloseCode{
		0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999,
		1, 1015, 1999, // our own
	} {
		wrong(fmt.Sprintf("7.9.%d", i+1), code)
	}
	wrong("7.13.1", 5000)
	wrong("7.13.2", 65535)
	return rows
}
