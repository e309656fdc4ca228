//go:build linux

package server

import (
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/epoll"
	wstls "github.com/seed004e8d11/websock/transport/tls"
)

// A Shared is a server whose connections WebSockets can share: websock over epoll, with HTTP/1.1 and
// HTTP/2. It answers many streams with one write, as the proxies in front of such servers do.
type Shared struct {
	http      *http.Server
	accept    websock.AcceptOptions
	secure    *secure // its listener and certificate
	plain     []net.Listener
	broadcast *websock.PreparedMessage

	mu   sync.Mutex
	open map[*websock.Conn]bool
}

// ListenShared returns a Shared that listens. size is the size of the payload of a broadcast.
func ListenShared(size int) (*Shared, error) {
	secure, err := newSecure(size)
	if err != nil {
		return nil, err
	}
	broadcast, err := websock.NewPreparedMessage(websock.OpBinary, make([]byte, size))
	if err != nil {
		return nil, err
	}
	s := &Shared{secure: secure, broadcast: broadcast, open: make(map[*websock.Conn]bool)}
	s.accept = websock.AcceptOptions{
		Transport: epoll.Transport(),
		Handler:   websock.Messages(s.echo, s.closed),
		Limits:    websock.Limits{SendQueue: 64 << 20},
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	s.http = &http.Server{
		Handler:   http.HandlerFunc(s.handle),
		Protocols: protocols,
		HTTP2:     &http.HTTP2Config{MaxConcurrentStreams: 10000},
		TLSConfig: secure.config,
	}
	h2 := &websock.HTTP2Server{Transport: epoll.Transport()}
	if err := h2.Configure(s.http); err != nil {
		return nil, err
	}
	for i := range listenAddresses {
		listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+i))})
		if err != nil {
			return nil, err
		}
		s.plain = append(s.plain, listener)
	}
	return s, nil
}

// Addresses returns the addresses of s.
func (s *Shared) Addresses() Addresses {
	a := Addresses{Secure: s.secure.address(), Certificate: s.secure.certificate}
	for _, l := range s.plain {
		a.Plain = append(a.Plain, l.Addr().String())
	}
	return a
}

// Serve serves until an error occurs.
func (s *Shared) Serve() error {
	failed := make(chan error, 1)
	serve := func(l net.Listener) { failed <- s.http.Serve(l) }
	for _, l := range s.plain {
		go serve(resetting{l})
	}
	go serve(wstls.NewListener(resetting{s.secure.listener}, s.http.TLSConfig))
	return <-failed
}

// A resetting is a listener whose connections are reset when they are closed, as in loop.
type resetting struct{ net.Listener }

func (l resetting) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		conn.(*net.TCPConn).SetLinger(0)
	}
	return conn, err
}

func (s *Shared) handle(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == broadcastPath {
		s.broadcastToAll()
		w.WriteHeader(http.StatusNoContent)
		return
	}
	conn, err := websock.Accept(w, r, &s.accept)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[conn] = true
	if conn.Err() != nil { // closed was called before
		delete(s.open, conn)
	}
}

func (s *Shared) echo(c *websock.Conn, _ websock.Opcode, msg []byte) { c.SendBinary(msg) }

func (s *Shared) closed(c *websock.Conn, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

func (s *Shared) broadcastToAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broadcast.Broadcast(slices.Collect(maps.Keys(s.open)), nil)
}
