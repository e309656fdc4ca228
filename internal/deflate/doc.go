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
package deflate
