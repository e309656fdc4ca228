package listen

import (
	"net"
	"net/http"
	"sync"
)

// A limitListener accepts connections as long as there are fewer than a number of them that are not yet
// WebSockets. The others wait in the queue of the system. It is told what becomes of them by a http.Server.
type limitListener struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newLimitListener(l net.Listener, limit int) *limitListener {
	return &limitListener{Listener: l, slots: make(chan struct{}, limit), closed: make(chan struct{})}
}

// Accept waits until there is a connection and room for it.
func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
	}
	return conn, err
}

// connState is a http.Server's ConnState.
func (l *limitListener) connState(_ net.Conn, state http.ConnState) {
	if state == http.StateHijacked || state == http.StateClosed {
		<-l.slots
	}
}

// Close ends Accept.
func (l *limitListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}
