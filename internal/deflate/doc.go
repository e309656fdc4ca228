// Package deflate implements the compression of permessage-deflate (RFC 7692): DEFLATE (RFC 1951) in
// pieces, with a history that lasts longer than a piece.
//
// # Memory
//
// An Inflater and a Deflater are large and should be pooled: each is needed only while it handles
// bytes. Between two messages only a History remains, the last bytes of a direction, at most a
// window of them.
//
// # Running out of input
//
// A flate.Reader pulls its input and can't resume after a read without data: bytes that arrive one
// by one on a connection without a goroutine would have to be buffered to the end of the message.
// So this package inflates with an automaton that stops where its input or output ends, at any byte,
// and continues from there. It reads a symbol with all its extra bits or nothing, so that there are
// few places to stop at.
//
// # Why not klauspost/compress
//
// Its compressor was made for long streams. Used as a Deflater is here, borrowed for one message
// with the history of the connection as the dictionary, it compresses the whole dictionary again
// each time, has 800 KB to reset, and supports windows below 32 KiB at one level only. At level 1,
// which a process with very many connections can afford, it takes 4.0 times as long for messages of
// 128 bytes with a window of 2 KiB and 3.8 times with 32 KiB; for 1 KiB 2.5 and 4.2 times, for 16 KiB
// 1.6 and 1.7 times. It needs less time from level 3 on, for large messages: down to a third at
// level 6, for streams that are up to a tenth larger. BenchmarkDeflate in the module bench compares
// the two.
package deflate
