// Package conformance holds the module to RFC 6455, and to RFC 3629 where text is concerned,
// with cases of its own: tables of what a peer sends and of what must come back.
//
//	go test ./internal/conformance            # all cases, in all places, in both roles
//	go test ./internal/conformance -update    # and write docs/conformance.md
//
// # Cases
//
// A case is a conversation: the frames that a peer sends, and with each the frame that
// answers it, if any. The endpoint that is tested sends back every message. Where a frame
// breaks the rules, the case says with which byte and with which close code the connection
// ends. A case that doesn't end otherwise ends with the peer's close frame.
//
// Cases have the numbers that the Autobahn test suite gives to the same behaviour, and a
// test sees to it that none of those is missing; its families 1 to 7, 9, 10, 12 and 13 are here.
// Cases of our own have numbers that it doesn't use:
//
//	1.3           lengths that aren't in their shortest form or too long; wrong masking
//	2.12 to 2.14  control frames that are too long; pings everywhere
//	3.8, 3.9      reserved bits on pongs and continuations
//	4.3           reserved opcodes within a message
//	5.21 to 5.24  more orders of frames that are wrong
//	6.24          code points cut by fragments and control frames
//	7.7.14 on     close codes registered since
//	7.9.10 on     more that must not be sent
//	7.14          more that close frames can do wrong
//	9.9           limits: as much as is allowed, and one more
//	10.1.2 on     other messages, other sizes of fragments
//	12.6          what is right and wrong within a compressed message
//
// Where Autobahn accepts two behaviours and calls one of them non-strict, or only informs
// about what it sees, the case demands the strict one: a wrong byte in a text ends the
// connection when it comes, not at the end of the frame; what came before a broken frame is
// answered first; a ping is answered before anything else is received; a close frame is
// answered with its own code, a broken one with 1002 or 1007.
//
// The limits are those that are in force by default, except that family 9 needs messages of
// more than 4096 fragments. Families 12 and 13 have the sizes of messages and fragments that
// Autobahn has, but contents of our own and fewer messages; the last set of parameters of 13,
// which there is a matter of negotiation only, here has others for each direction. What the
// peer compresses and inflates, it does with compress/flate. Under the race detector messages above 64 KiB are 32 times
// smaller, and fewer.
//
// # Places
//
// The peer's frames are made and its answers taken apart here, byte by byte, by code that is
// not the one that is tested. Each case runs, in both roles,
//
//   - on the bare engine.Decoder, which has to find the frames that went in, and the end at
//     the right byte; it doesn't inflate, so there are no compressed messages here;
//   - on an websock.Conn in memory, pulled by every receiving call, with small and large
//     buffers and with timeouts in between, and pushed to both kinds of Handler. Answers must
//     have been sent before more is received than calls for them;
//   - over sockets with transport/std and transport/epoll, with and without TLS, pulled and
//     pushed, once answer by answer and once with all that the peer has to say at once.
//
// The first two get the stream whole, frame by frame, byte by byte, and in two parts cut at
// every byte if it is short, or at random if it is long.
package conformance
