package std

import (
	"net"
	"sync"

	"github.com/seed004e8d11/websock/engine"
)

// An attempt to write without waiting, and what that has left.
type attempt struct {
	conn  net.Conn
	rest  []byte
	write func(fd uintptr) bool // tries, as a syscall.RawConn wants it
	err   error                 // of that
}

var attempts = sync.Pool{New: func() any {
	a := &attempt{}
	a.write = a.try
	return a
}}

func (a *attempt) try(fd uintptr) (done bool) {
	n, err := writeFd(fd, a.rest)
	a.rest, a.err = a.rest[n:], err
	return true
}

// Send writes the rest in a goroutine that waits for the peer.
func (a *attempt) Send(s engine.Sender) {
	go func() {
		_, err := a.conn.Write(a.rest)
		a.putBack()
		s.Sent(err)
	}()
}

func (a *attempt) putBack() {
	a.conn, a.rest, a.err = nil, nil, nil
	attempts.Put(a)
}
