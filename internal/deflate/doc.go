// Package deflate is the codec of permessage-deflate (RFC 7692) without its frames:
// DEFLATE (RFC 1951) in pieces, with a history that outlives them.
//
// # Memory
//
// An Inflater and a Deflater are large and lent: one is needed only while bytes are
// handled. What has to be remembered between two messages is a History, the last bytes of
// a direction, at most a window of them.
//
// # Running out of input
//
// A flate.Reader pulls its input and can't go on after it got none: bytes that arrive one
// by one, with nobody to wait for them, would have to be gathered to the end of the
// message first. So inflating is done here, by an automaton that is given input and room
// for output, stops where either ends, at any byte, and goes on from there. It takes a
// whole symbol with all its extra bits or nothing, so that it can stop at few places.
//
// # Why not klauspost/compress
//
// Its compressor was made for long streams. In the seat that a Deflater has here, lent for
// one message and told the history of the connection as a dictionary, it compresses the whole
// dictionary anew each time, has 800 KB to reset, and keeps to a window below 32 KiB at one
// level only. At level 1, which a process with very many connections can afford, it takes
// 3.8 times as long for messages of 128 bytes, whether windows are of 2 KiB or of 32 KiB;
// for 1 KiB 1.9 and 3.4 times, for 16 KiB 1.2 and 1.3 times. Where it needs less is from
// level 3 on, for large messages: down to a third at level 6, for streams that are up to a
// tenth larger. BenchmarkDeflate in the module bench shows both, side by side.
package deflate
