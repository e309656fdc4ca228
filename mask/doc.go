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
// [XOR] works in place. [Copy] masks while it copies, which is what a client
// wants: the caller's payload stays as it was, and no byte is touched twice.
//
// Neither function allocates, keeps state, or reads or writes a byte outside its
// slices. Both may be called from any number of goroutines at once, on different
// memory.
package mask
