package std

import (
	"sync"

	"github.com/seed004e8d11/websock/transport"
)

// An attempt to write without waiting, and what that has left.
type attempt struct {
	t    *Conn
	rest []byte
	err  error               // of the attempt
	done transport.WriteDone // to be told

	try  func(fd uintptr) bool // as a syscall.RawConn wants it
	wait func()                // writes the rest
}

var attempts sync.Pool

func attemptTo(t *Conn, p []byte) *attempt {
	a, ok := attempts.Get().(*attempt)
	if !ok {
		a = &attempt{}
		a.try, a.wait = a.tryTo, a.writeRest // made once
	}
	a.t, a.rest = t, p
	return a
}

func (a *attempt) tryTo(fd uintptr) (done bool) {
	n, err := writeFd(fd, a.rest)
	a.rest, a.err = a.rest[n:], err
	return true
}

// Finish writes the rest in a goroutine that waits for the peer.
func (a *attempt) Finish(done transport.WriteDone) {
	a.done = done
	go a.wait()
}

func (a *attempt) writeRest() {
	_, err := a.t.conn.Write(a.rest)
	err = a.t.writeError(err)
	done := a.done
	a.putBack()
	done.Wrote(err)
}

func (a *attempt) putBack() {
	a.t, a.rest, a.err, a.done = nil, nil, nil, nil
	attempts.Put(a)
}
