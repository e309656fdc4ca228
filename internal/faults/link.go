package faults

import (
	"net"
	"sync"
	"time"
)

// A link is one connection through a Proxy.
type link struct {
	proxy          *Proxy
	client, server *net.TCPConn

	acting  sync.Once
	stalled chan struct{} // closed when nothing is to pass any more
}

// act ends the link, as the action has it. Only the first counts.
func (l *link) act(a Action) {
	l.acting.Do(func() {
		switch a {
		case Truncate:
			l.server.Close()
			l.client.CloseWrite()
		case HalfClose:
			l.client.CloseWrite()
		case Reset:
			l.client.SetLinger(0)
			l.client.Close()
			l.server.Close()
		case Stall:
			close(l.stalled)
		}
	})
}

func (l *link) bound(at time.Time) {
	l.client.SetDeadline(at)
	l.server.SetDeadline(at)
}

// passUp passes on what the client sends, in spite of a stall once the Proxy is closed.
func (l *link) passUp() {
	buf := make([]byte, 16<<10)
	for {
		n, err := l.client.Read(buf)
		select {
		case <-l.stalled:
			<-l.proxy.closing
		default:
		}
		f := l.proxy.current()
		for rest := buf[:n]; len(rest) > 0; {
			piece := f.split(len(rest))
			time.Sleep(f.Delay)
			l.server.Write(rest[:piece]) // lost if the link was cut
			rest = rest[piece:]
		}
		if err != nil {
			l.server.CloseWrite()
			return
		}
	}
}

// passDown passes on what the server sends, until the action.
func (l *link) passDown() {
	buf := make([]byte, 16<<10)
	for {
		n, err := l.server.Read(buf)
		for rest := buf[:n]; len(rest) > 0; {
			time.Sleep(l.proxy.current().Delay)
			piece, then := l.proxy.admit(len(rest))
			if l.isStalled() {
				return
			}
			if _, err := l.client.Write(rest[:piece]); err != nil {
				return
			}
			rest = rest[piece:]
			if then != Pass {
				l.act(then)
				return
			}
		}
		if err != nil {
			l.act(HalfClose)
			return
		}
	}
}

func (l *link) isStalled() bool {
	select {
	case <-l.stalled:
		return true
	default:
		return false
	}
}
