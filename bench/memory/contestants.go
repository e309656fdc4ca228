package memory

import (
	"errors"

	"github.com/seed004e8d11/websock/engine"
)

// ErrCannot is returned by a client for work that it isn't made for.
var ErrCannot = errors.New("this client can't do that")

// Work is what a client has to do.
type Work struct {
	Op      engine.Opcode
	Payload []byte // of each message, received or sent
	Times   int
}

// A Contestant does work over a network. What comes before the first message isn't measured.
type Contestant struct {
	Name string
	Dial func(*Network, Work) (Client, error)
}

// A Client does its work once.
type Client interface {
	// Receive receives messages until the stream ends. The error says what else came.
	Receive() error

	// Reply receives as Receive does, and sends each message back.
	Reply() error

	// Send sends messages.
	Send() error
}

// Contestants are all ways to be a client, the bound first.
var Contestants = []Contestant{
	{"bound-view", dialBound(false)},
	{"bound-buffer", dialBound(true)},
	{"websock-decoder", dialDecoder},
	{"websock-handler", dialWebsock(byHandler)},
	{"websock-buffer", dialWebsock(intoBuffer)},
	{"websock-message", dialWebsock(wholeMessages)},
	{"gobwas", dialGobwas},
	{"gobwas-wsutil", dialWsutil},
	{"gorilla", dialGorilla},
	{"coder", dialCoder},
	{"gws", dialGws},
	{"xnet", dialXnet},
}
