// Package utf8 validates text that arrives in pieces.
//
// A text message must be valid UTF-8 (RFC 6455, sections 5.6 and 8.1), but
// frames, and reads from a socket, may end anywhere, also between the bytes of
// one code point. A [Validator] carries an incomplete code point from one piece
// to the next and fails with the first piece that has a byte no valid text can
// have there. Its notion of valid is that of unicode/utf8: no surrogates, no
// overlong forms, nothing above U+10FFFF.
//
// An automaton validates short text, with a shift for each byte. Longer text is
// validated with
// the algorithm of John Keiser and Daniel Lemire, "Validating UTF-8 In Less Than
// One Instruction Per Byte" (2020), in AVX2 or AVX-512 on amd64 and NEON on
// arm64. Elsewhere, and with the build tag purego, unicode/utf8 does the work.
// The speed of Valid as a multiple of that of unicode/utf8's, measured on an Intel
// Ice Lake server, medians of interleaved rounds:
//
//	bytes         1     8     16    31    64    128   1 Ki  4 Ki  64 Ki
//	ASCII         1.1   5.7   5.8   2.8   2.8   3.0   4.0   5.7   5.1
//	two-byte      0.7   1.1   1.1   3.9   7.2   15    21    31    24
//	mixed         1.1   1.0   1.2   4.3   8.0   15    21    34    34
//
// The last two columns vary with the other load of the processor, between 10 and
// 34.
//
// # One pass or two
//
// A server unmasks text and validates it; a client copies text and validates it.
// [Validator.Unmask] and [Validator.Copy] do both in one call. Their speed as a
// multiple of that of two passes:
//
//	bytes              16    64    125   512   4 Ki  16 Ki  64 Ki  256 Ki
//	Unmask, ASCII      1.2   1.8   1.9   1.6   1.6   1.5    1.7    1.5
//	Unmask, others     0.9   0.9   0.9   1.0   1.0   1.0    1.0    1.0
//	Copy, ASCII        1.1   1.7   1.9   1.6   1.5   1.1    1.4    1.3
//	Copy, others       0.9   0.9   0.9   0.9   1.0   0.9    1.0    1.0
//
// So the first pass only detects whether text is ASCII, which the stores hide, and
// other text is validated in a second pass. Masking is a fifth of the time that
// unmasking and validating other text takes, so there is little to gain by doing
// both in one pass. Two passes over chunks that fit in the L1 cache gain nothing
// below 64 KiB, and at most a twentieth above.
package utf8
