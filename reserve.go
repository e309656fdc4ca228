package websock

import (
	"errors"
	"syscall"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport/std"
)

// reserve sets aside what the transport will need for one connection.
func reserve(t Transport) (engine.Reservation, error) {
	if t == nil {
		t = std.Transport()
	}
	r, ok := t.(Reserver)
	if !ok {
		return unreserved{t}, nil
	}
	reserved, err := r.Reserve()
	if err != nil {
		return nil, &HandshakeError{Reason: localOr("transport can't take another connection", err), Err: err}
	}
	return reserved, nil
}

// unreserved is the Reservation of a Transport that needs none.
type unreserved struct{ Transport }

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
