package engine

// Violations of the protocol, for external tests.
var (
	ErrControlFragmented  = errControlFragmented
	ErrLengthNotMinimal   = errLengthNotMinimal
	ErrLengthOverflow     = errLengthOverflow
	ErrNothingToContinue  = errNothingToContinue
	ErrCloseTooShort      = errCloseTooShort
	ErrMasked             = errMasked
	ErrNotMasked          = errNotMasked
	ErrNotUTF8            = errNotUTF8
	ErrReservedBits       = errReservedBits
	ErrReservedOpcode     = errReservedOpcode
	ErrPeerControlTooLong = errControlTooLong
)

// HeaderSize exports headerSize.
var HeaderSize = headerSize
