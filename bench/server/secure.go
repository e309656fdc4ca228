//go:build linux

package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"sync"
	"time"
)

// secure echoes over TLS, with a goroutine for each connection.
type secure struct {
	listener    net.Listener
	config      *tls.Config
	certificate []byte // DER
	broadcast   []byte // the frame

	mu     sync.Mutex
	open   map[*tls.Conn]bool // after the opening handshake
	echoed Count
}

// newSecure returns a secure that listens. size is the size of the payload of a broadcast.
func newSecure(size int) (*secure, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	// rustls refuses a certificate of an authority, and Java one without a name.
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "127.0.0.1"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &secure{
		listener:    listener,
		config:      &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		certificate: der,
		broadcast:   broadcastFrame(size),
		open:        make(map[*tls.Conn]bool),
	}, nil
}

func (s *secure) address() string { return s.listener.Addr().String() }

// run serves until the listener fails.
func (s *secure) run() error {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return err
		}
		conn.(*net.TCPConn).SetLinger(0) // as in loop
		go s.serve(tls.Server(conn, s.config))
	}
}

func (s *secure) serve(conn *tls.Conn) {
	defer s.close(conn)
	var session session
	in := make([]byte, 16<<10)
	var out []byte
	for {
		n, err := conn.Read(in)
		if err != nil {
			return
		}
		wasOpen := session.open
		var echoed Count
		var refused error
		out, echoed, refused = session.feed(in[:n], out[:0])
		s.count(echoed)
		if _, err := conn.Write(out); err != nil {
			return
		}
		if session.open && !wasOpen {
			s.opened(conn)
		}
		switch refused {
		case nil:
		case errBroadcast:
			s.broadcastFor(conn)
		case errCount:
			conn.Write(s.count(Count{}).response())
		default:
			return
		}
	}
}

// count adds to the count, and returns it.
func (s *secure) count(echoed Count) Count {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.echoed.add(echoed)
	return s.echoed
}

func (s *secure) opened(conn *tls.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[conn] = true
}

func (s *secure) close(conn *tls.Conn) {
	s.mu.Lock()
	delete(s.open, conn)
	s.mu.Unlock()
	conn.Close()
}

// broadcastFor sends the broadcast and then responds to the asker. The goroutine of a connection handles
// its errors.
func (s *secure) broadcastFor(asker *tls.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		conn.Write(s.broadcast)
	}
	asker.Write(broadcastDone)
}
