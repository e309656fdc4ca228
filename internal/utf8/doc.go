// Package utf8 validates text that arrives in pieces.
//
// A text message must be valid UTF-8 (RFC 6455, sections 5.6 and 8.1), but
// frames, and reads from a socket, may end anywhere, also between the bytes of
// one code point. A [Validator] carries what is left of a cut code point from
// one piece to the next and fails with the first piece that holds a byte no
// valid text can hold there. What it calls valid is what unicode/utf8 calls
// valid: no surrogates, no overlong forms, nothing above U+10FFFF.
package utf8
