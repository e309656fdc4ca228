package engine

// Options says what a Conn needs to know when it begins.
type Options struct {
	Role   Role
	Limits Limits

	// Compression is what was agreed in the opening handshake.
	Compression Compression

	// Subprotocol is the one agreed in the opening handshake, or "".
	Subprotocol string

	// Recover is told of a panic of the Handler: v is what was given to panic. The connection
	// then ends, with a *HandlerError in OnClose, and with close code 1011 for the peer; the
	// process and the other connections go on. It is called by the goroutine that panicked,
	// whose stack runtime/debug.Stack shows, before OnClose, and with no lock held. It may be
	// called by several goroutines at once, for different connections.
	//
	// nil: a panic ends the process, as everywhere in Go.
	Recover func(c *Conn, v any)

	// RawHeader holds the header lines of the peer's opening handshake, each
	// "Name: value\r\n", as they came. It is copied.
	RawHeader []byte
}
