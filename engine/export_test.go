package engine

// What the peer can break, for tests of the package from outside.
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

// HeaderSize is headerSize.
var HeaderSize = headerSize
