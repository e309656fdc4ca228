package memory

import (
	"errors"
	"net"

	"github.com/seed004e8d11/websock"
)

// ErrCannot is returned by a client for work that it doesn't support.
var ErrCannot = errors.New("this client can't do that")

// Work is what a client has to do.
type Work struct {
	Op      websock.Opcode
	Payload []byte // of each message, received or sent
	Times   int

	// Compression to request. A contestant with fixed settings ignores it.
	Compression websock.Compression

	// Over is a connection to a Network that serves it; nil: the Network itself.
	Over net.Conn
}

func (w *Work) conn(n *Network) net.Conn {
	if w.Over != nil {
		return w.Over
	}
	return n
}

// A Contestant does work over a network. The opening handshake isn't measured.
type Contestant struct {
	Name string
	Dial func(*Network, Work) (Client, error)

	// Compresses is how the contestant can compress.
	Compresses Compresses
}

// Compresses is a way to compress.
type Compresses uint8

// The ways to compress.
const (
	Never           Compresses = iota
	WithoutTakeover            // each message by itself
	WithTakeover               // with or without takeover
)

// A Client does its work once.
type Client interface {
	// Receive receives messages until the stream ends. Anything else is an error.
	Receive() error

	// Reply receives as Receive does, and sends each message back.
	Reply() error

	// Send sends messages.
	Send() error
}

// Contestants has all contestants, the bound first.
var Contestants = []Contestant{
	{"bound-view", dialBound(false), Never},
	{"bound-buffer", dialBound(true), Never},
	{"websock-decoder", dialDecoder, Never},
	{"websock-handler", dialWebsock(byHandler), WithTakeover},
	{"websock-buffer", dialWebsock(intoBuffer), WithTakeover},
	{"websock-message", dialWebsock(wholeMessages), WithTakeover},
	{"gobwas", dialGobwas, Never},
	{"gobwas-wsutil", dialWsutil, Never},
	{"gorilla", dialGorilla, WithoutTakeover},
	{"coder", dialCoder, WithTakeover},
	{"gws", dialGws, WithTakeover},
	{"xnet", dialXnet, Never},
}
