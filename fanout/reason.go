package fanout

import "errors"

// A Reason says which of three events OnDown tells of.
type Reason uint8

// The reasons for which a slot is down.
const (
	AttemptFailed  Reason = iota + 1 // there was no connection: an attempt to open one failed
	ConnectionLost                   // there was one, and it has ended
	ShutDown                         // Shutdown has ended a connection or an attempt
)

// String returns the reason in words.
func (r Reason) String() string {
	switch r {
	case AttemptFailed:
		return "attempt failed"
	case ConnectionLost:
		return "connection lost"
	case ShutDown:
		return "shut down"
	}
	return "invalid"
}

// A DownError is the error that OnDown, Permanent and Slot.Err get. errors.Is and errors.As
// find what websock.Open, Prepare, OnConnect or websock.Handler's OnClose have told.
type DownError struct {
	Reason Reason
	Err    error // never nil
}

func (e *DownError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *DownError) Unwrap() error { return e.Err }

// ReasonOf returns the Reason of an error that OnDown got, and 0 for any other.
func ReasonOf(err error) Reason {
	var down *DownError
	if errors.As(err, &down) {
		return down.Reason
	}
	return 0
}
