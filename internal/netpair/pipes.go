package netpair

import (
	"context"
	"net"
)

// Pipes is a net.Listener that accepts net.Pipes, for tests in a bubble of testing/synctest, where nothing else
// can be used.
type Pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

// NewPipes returns a listener for Dial.
func NewPipes() Pipes { return Pipes{make(chan net.Conn), make(chan struct{})} }

// Dial returns the client's end of a pipe when the other one has been accepted. Network and address don't matter.
func (p Pipes) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Accept returns the server's end of a pipe.
func (p Pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close makes Accept and Dial fail. It may be called once.
func (p Pipes) Close() error { close(p.closed); return nil }

// Addr returns no address in particular.
func (p Pipes) Addr() net.Addr { return &net.TCPAddr{} }
