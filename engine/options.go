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

	// OnPing, unless it is nil, is called with the payload of every ping received, at most
	// 125 bytes, valid until it returns. The ping is answered without it. It is called by the
	// goroutine that receives: from within a receive, or in its place between the calls of
	// OnData. It must not receive, and what it sends on c leaves with the answer.
	OnPing func(c *Conn, payload []byte)

	// RawHeader holds the header lines of the peer's opening handshake, each
	// "Name: value\r\n", as they came. It is copied.
	RawHeader []byte
}
