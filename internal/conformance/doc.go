// Package conformance tests the module against RFC 6455, RFC 7692 and, for text, RFC 3629, with
// tables of what a peer sends and what an endpoint has to answer.
//
//	go test ./internal/conformance            # all cases, in all places, in both roles
//	go test ./internal/conformance -update    # and write docs/conformance.md
//
// # Cases
//
// A case is a conversation: the frames that a peer sends and, for each, the frame that answers
// it, if any. The endpoint under test echoes every message. Where a frame breaks the rules, the
// case says at which byte and with which close code the connection ends. All other cases end with
// a close frame from the peer.
//
// A case has the number that the Autobahn test suite gives to the same behaviour, and a test
// checks that none is missing from families 1 to 7, 9, 10, 12 and 13. Our own cases have numbers
// that Autobahn doesn't use:
//
//	1.3           lengths that are too long or not in their shortest form; wrong masking
//	2.12 to 2.14  control frames that are too long; pings before, in and after a message
//	3.8, 3.9      reserved bits in pongs and continuations
//	4.3           reserved opcodes within a message
//	5.21 to 5.24  more frames in the wrong order
//	6.24          code points split by fragments and control frames
//	7.7.14 on     close codes registered since
//	7.9.10 on     more codes that must not be sent
//	7.14          more errors in close frames
//	9.9           limits: the most that is allowed, and one more
//	10.1.2 on     other messages, other sizes of fragments
//	12.6          valid and invalid payloads of compressed messages
//
// Where Autobahn accepts two behaviours and calls one of them non-strict, or only reports what it
// sees, the case requires the strict one: an invalid byte in a text ends the connection when it
// arrives, not at the end of the frame; messages before an invalid frame are answered first; a ping
// is answered before anything else is received; a close frame is answered with its own code, an
// invalid one with 1002 or 1007.
//
// Limits have their defaults, except that family 9 needs messages of more than 4096 fragments.
// Families 12 and 13 use Autobahn's sizes of messages and fragments, but payloads of their own and
// fewer messages. The last parameter set of family 13, which in Autobahn only concerns the
// negotiation, has different parameters for each direction here. The peer compresses and inflates
// with compress/flate. Under the race detector, messages above 64 KiB are 32 times smaller, and
// fewer.
//
// # Places
//
// This package encodes the peer's frames and decodes the answers with code of its own, not with
// the code under test. Each case runs in both roles
//
//   - in an engine.Decoder, which has to find the frames that were sent, and the end at the right
//     byte. What a compressed message inflates to is compared for the whole message;
//   - in a websock.Conn over a transport in memory, pulled by every receiving call, with small and
//     large buffers and with timeouts in between, and pushed to both kinds of Handler. Each answer
//     must have been sent before the Conn receives more than it needs for it;
//   - over sockets with transport/std and transport/epoll, with and without TLS, pulled and
//     pushed, with a peer that waits for each answer and with one that sends everything at once;
//   - in the same way over HTTP/2, without TLS and with it, where the connections of all cases in a role
//     are streams of the same session. The peer uses golang.org/x/net's Framer.
//
// The first two get the stream whole, frame by frame, byte by byte, and in two parts: split at
// every byte if it is short, at random if it is long.
package conformance
