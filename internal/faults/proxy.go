package faults

import (
	"net"
	"sync"
	"time"
)

// A Proxy passes the bytes of TCP connections on to a server, with a Fault.
type Proxy struct {
	listener net.Listener
	server   string
	closing  chan struct{}
	closed   sync.Once
	running  sync.WaitGroup

	mu     sync.Mutex
	fault  Fault
	passed int64 // from the server, since the fault began
	links  []*link
}

// Listen returns a Proxy for the server at an address. It must be closed.
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

// Begin makes f the fault of all connections, for bytes that are read from now on. It may
// be called from any goroutine.
func (p *Proxy) Begin(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.passed = f, 0
	if _, due := f.admit(0, 0); due {
		for _, l := range p.links {
			l.act(f.Then)
		}
	}
}

// Close ends all connections, after what clients sent during a stall has passed, and waits
// until that is done. It may be called more than once.
func (p *Proxy) Close() {
	p.closed.Do(func() {
		close(p.closing)
		p.listener.Close()
	})
	p.mu.Lock()
	for _, l := range p.links {
		l.bound(time.Now().Add(time.Second))
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
		p.carry(&link{
			proxy: p, client: client.(*net.TCPConn), server: server.(*net.TCPConn),
			stalled: make(chan struct{}),
		})
	}
}

// carry begins to pass bytes.
func (p *Proxy) carry(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.closing:
		l.bound(time.Now())
	default:
	}
	p.links = append(p.links, l)
	p.running.Go(l.passUp)
	p.running.Go(l.passDown)
}

// admit returns how many of n bytes from the server may pass now, and what comes behind
// them.
func (p *Proxy) admit(n int) (piece int, then Action) {
	p.mu.Lock()
	defer p.mu.Unlock()
	piece, due := p.fault.admit(n, p.passed)
	p.passed += int64(piece)
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
