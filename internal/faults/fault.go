package faults

import "time"

// A Fault is what happens to the bytes that pass a Proxy. Its zero value lets them pass.
type Fault struct {
	Delay time.Duration // before each piece, in both directions
	Piece int           // most bytes that pass at a time, in both directions; 0: as they come

	// Once After bytes from the server have passed, Then happens.
	After int64
	Then  Action
}

// An Action is what a Fault ends in.
type Action int

const (
	Pass      Action = iota // nothing
	Truncate                // the client sees the stream end; what it sends is lost
	HalfClose               // the client sees the stream end; what it sends still passes
	Reset                   // the client's connection is reset
	Stall                   // nothing passes, and nothing is read, until the Proxy is closed
)

// split returns how many of n bytes may pass at once.
func (f Fault) split(n int) int {
	if f.Piece > 0 {
		return min(n, f.Piece)
	}
	return n
}

// admit is split for bytes from the server, of which passed have passed before. due says that
// the action comes behind them.
func (f Fault) admit(n int, passed int64) (piece int, due bool) {
	if f.Then == Pass {
		return f.split(n), false
	}
	left := max(f.After-passed, 0)
	piece = int(min(int64(f.split(n)), left))
	return piece, int64(piece) == left
}
