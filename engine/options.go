package engine

// Options says what a Conn needs to know when it begins.
type Options struct {
	Role   Role
	Limits Limits

	// Compression is what was agreed in the opening handshake.
	Compression Compression

	// Subprotocol is the one agreed in the opening handshake, or "".
	Subprotocol string

	// RawHeader holds the header lines of the peer's opening handshake, each
	// "Name: value\r\n", as they came. It is kept, not copied.
	RawHeader []byte
}
