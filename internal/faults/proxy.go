package faults

import (
	"io"
	"net"
	"sync"
	"time"
)

// A Fault is what a Proxy does to the bytes that it forwards. The zero value is no fault.
type Fault struct {
	Delay time.Duration // before each piece, in both directions
	Piece int           // most bytes forwarded at once, in both directions; 0: no bound

	// Then happens once After bytes from the server were forwarded.
	After int64
	Then  Action
}

// An Action is how a Fault ends.
type Action int

const (
	Pass      Action = iota // nothing
	Truncate                // the client sees the stream end; what it sends is lost
	HalfClose               // the client sees the stream end; what it sends is still forwarded
	Reset                   // the client's connection is reset
	Stall                   // nothing is forwarded or read until the Proxy is closed
)

// split returns how many of n bytes may be forwarded at once.
func (f Fault) split(n int) int {
	if f.Piece > 0 {
		return min(n, f.Piece)
	}
	return n
}

// splitDown is split for bytes from the server, of which so many were forwarded before. due reports
// that the action follows.
func (f Fault) splitDown(n int, forwarded int64) (piece int, due bool) {
	if f.Then == Pass {
		return f.split(n), false
	}
	remaining := max(f.After-forwarded, 0)
	piece = int(min(int64(f.split(n)), remaining))
	return piece, int64(piece) == remaining
}

// A Proxy forwards TCP connections to a server, with a Fault.
type Proxy struct {
	listener net.Listener
	server   string
	closing  chan struct{}
	closed   sync.Once
	running  sync.WaitGroup

	mu        sync.Mutex
	fault     Fault
	forwarded int64 // bytes from the server since the fault began
	links     []*link
}

// Listen returns a Proxy for the server at an address. The caller must close it.
func Listen(server string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, server: server, closing: make(chan struct{})}
	p.running.Go(p.accept)
	return p, nil
}

// Addr returns the address that clients connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Begin makes f the fault of all connections, for bytes that are read from now on. Any goroutine may
// call it.
func (p *Proxy) Begin(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.forwarded = f, 0
	if _, due := f.splitDown(0, 0); due {
		for _, l := range p.links {
			l.act(f.Then)
		}
	}
}

// Close forwards what clients sent during a stall, and the end of the server's stream, closes all connections,
// and returns when that is done, or after a minute. It may be called more than once.
func (p *Proxy) Close() {
	p.closed.Do(func() {
		close(p.closing)
		p.listener.Close()
	})
	p.mu.Lock()
	for _, l := range p.links {
		l.setDeadline(time.Now().Add(time.Minute))
	}
	p.mu.Unlock()
	p.running.Wait()
	for _, l := range p.links {
		l.client.Close()
		l.server.Close()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			client.Close()
			continue
		}
		p.forward(&link{
			proxy: p, client: client.(*net.TCPConn), server: server.(*net.TCPConn),
			stalled: make(chan struct{}),
		})
	}
}

// forward starts forwarding.
func (p *Proxy) forward(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.closing:
		l.setDeadline(time.Now())
	default:
	}
	p.links = append(p.links, l)
	p.running.Go(l.forwardUp)
	p.running.Go(l.forwardDown)
}

// splitDown returns how many of n bytes from the server may be forwarded now, and the action that
// follows.
func (p *Proxy) splitDown(n int) (piece int, then Action) {
	p.mu.Lock()
	defer p.mu.Unlock()
	piece, due := p.fault.splitDown(n, p.forwarded)
	p.forwarded += int64(piece)
	if due {
		then = p.fault.Then
	}
	return piece, then
}

func (p *Proxy) current() Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault
}

// A link is one connection through a Proxy.
type link struct {
	proxy          *Proxy
	client, server *net.TCPConn

	acting  sync.Once
	stalled chan struct{} // closed by Stall
}

// act carries out an action. Only the first call has an effect.
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

func (l *link) setDeadline(at time.Time) {
	l.client.SetDeadline(at)
	l.server.SetDeadline(at)
}

// forwardUp forwards what the client sends. During a stall it waits for the Proxy to be closed.
func (l *link) forwardUp() {
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
			l.server.Write(rest[:piece]) // lost after Truncate and Reset
			rest = rest[piece:]
		}
		if err != nil {
			l.server.CloseWrite()
			return
		}
	}
}

// forwardDown forwards what the server sends until the action, or after a stall only the end of its stream, so
// that a client ends that waits for it.
func (l *link) forwardDown() {
	l.forwardUntilAction()
	if l.isStalled() {
		<-l.proxy.closing
		io.Copy(io.Discard, l.server)
		l.client.CloseWrite()
	}
}

func (l *link) forwardUntilAction() {
	buf := make([]byte, 16<<10)
	for {
		n, err := l.server.Read(buf)
		for rest := buf[:n]; len(rest) > 0; {
			time.Sleep(l.proxy.current().Delay)
			piece, then := l.proxy.splitDown(len(rest))
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
