package websock

import (
	"errors"
	"syscall"

	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/std"
)

// reserve sets aside what the transport will need for one connection.
func reserve(f transport.Factory) (transport.Reservation, error) {
	if f == nil {
		f = std.Transport()
	}
	r, ok := f.(transport.Reserver)
	if !ok {
		return unreserved{f}, nil
	}
	reserved, err := r.Reserve()
	if err != nil {
		return nil, &HandshakeError{Reason: localOr("transport can't take another connection", err), Err: err}
	}
	return reserved, nil
}

// unreserved is the Reservation of a Factory that needs none.
type unreserved struct{ transport.Factory }

func (unreserved) Release() {}

// localOr returns the reason of a failure whose cause is err: a limit on our own side that is
// reached, or any other.
func localOr(other string, err error) string {
	switch {
	case errors.Is(err, syscall.EMFILE):
		return "this process has reached its limit of open files"
	case errors.Is(err, syscall.ENFILE):
		return "this system has reached its limit of open files"
	}
	return other
}
