// Package mask applies the masking key of a WebSocket frame (RFC 6455, section
// 5.3) to its payload, and makes those keys.
//
// Masking and unmasking are the same operation: payload byte i is XORed with
// key byte i modulo 4. A payload may arrive or leave in pieces, so each function
// takes the position of its first byte within the payload and returns the
// position that follows, ready for the next piece:
//
//	pos := 0
//	for piece := range pieces {
//		pos = mask.XOR(piece, key, pos)
//	}
//
// [XOR] works in place. [Copy] masks while it copies, which a client needs: the
// caller's payload is not changed, and there is one pass over it.
//
// Both use assembly on amd64, with AVX2 or AVX-512, and on arm64; elsewhere, and with
// the build tag purego, Go code that handles eight bytes at a time. Measured on an Intel
// Ice Lake server, as multiples of the time for copying the same bytes, medians of
// interleaved rounds:
//
//	bytes                   64    125   256   1 Ki  4 Ki  16 Ki  64 Ki  1 Mi
//	XOR                     1.2   1.6   1.0   1.1   0.9   0.8    0.7    0.3
//	XOR, 16-byte aligned    1.1   2.0   1.0   1.1   1.2   1.5    0.7    0.3
//	Copy                    1.25  1.2   1.05  1.15  1.05  0.9    1.0    0.8
//	Copy, both aligned      1.25  1.2   1.05  1.15  1.2   1.5    1.0    0.8
//	Go, in place            3.0   3.6   3.0   4.2   6.0   7.0    3.1    1.0
//
// There are two reasons for times above that of a copy. The runtime calls its copy
// with arguments in registers, which matters below 256 bytes. And where dst and src
// are both aligned to 16 bytes and 3 to 48 KiB long, it copies with one string
// instruction, up to 1.5 times as fast as loads and stores.
//
// Neither function allocates, keeps state, or reads or writes a byte outside its
// slices. Both may be called from any number of goroutines at once, on different
// memory.
package mask
