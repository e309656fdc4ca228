package faults

import (
	"bufio"
	"context"
	stdtls "crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/handshake"
)

// A server is the peer of the client under test. It serves one connection, through a Proxy, and sends
// what the fault says.
type server struct {
	listener net.Listener
	proxy    *Proxy
	fault    fault
	running  sync.WaitGroup

	conn   net.Conn
	opened chan struct{} // closed when the client's first message arrived
	served chan struct{} // closed when fault.serve returned
	code   string        // close code that the client sent

	http2Server
}

// certificate is that of servers, and clients trust roots.
var certificate, roots = func() (stdtls.Certificate, *x509.CertPool) {
	issuer := httptest.NewTLSServer(nil)
	defer issuer.Close()
	pool := x509.NewCertPool()
	pool.AddCert(issuer.Certificate())
	return issuer.TLS.Certificates[0], pool
}()

// start starts a server with a fault.
func start(t *testing.T, f fault, s setting) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := Listen(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if s.scheme == "wss" {
		config := &stdtls.Config{Certificates: []stdtls.Certificate{certificate}}
		if s.http2 {
			config.NextProtos = []string{"h2"}
		}
		l = stdtls.NewListener(l, config)
	}
	proxy.Begin(f.early)
	started := &server{listener: l, proxy: proxy, fault: f, opened: make(chan struct{}), served: make(chan struct{}), code: "–"}
	started.running.Go(func() { started.serve(s.http2) })
	return started
}

// stop stops what start has started.
func (s *server) stop() {
	s.proxy.Close()
	s.listener.Close()
	s.running.Wait()
}

func (s *server) serve(http2 bool) {
	var err error
	if s.conn, err = s.listener.Accept(); err != nil {
		return
	}
	defer s.conn.Close()
	if http2 {
		s.serveHTTP2()
		return
	}
	if s.fault.answer != nil {
		if _, err := http.ReadRequest(bufio.NewReader(s.conn)); err == nil {
			s.fault.answer(s.conn)
		}
		return
	}
	result, _, err := handshake.ServerConn(context.Background(), s.conn, nil)
	if err != nil {
		return
	}
	receiving := make(chan struct{})
	go func() {
		s.receive(result.Early)
		close(receiving)
	}()
	s.serveFault(receiving)
}

// serveFault serves the fault after the client's first message, also if the client ended the connection
// right after it. It returns when nothing is received anymore, which closes ended.
func (s *server) serveFault(ended <-chan struct{}) {
	select {
	case <-s.opened:
	case <-ended:
	}
	if s.hasOpened() {
		s.fault.serve(s)
	}
	close(s.served)
	<-ended
}

// hasOpened reports whether the client's first message has arrived.
func (s *server) hasOpened() bool {
	select {
	case <-s.opened:
		return true
	default:
		return false
	}
}

// receive handles what the client sends until the connection ends.
func (s *server) receive(early []byte) {
	d := engine.NewDecoder(websock.Server, engine.Limits{MessageSize: -1, Fragments: -1, FrameSize: -1})
	received := early
	buf := make([]byte, 16<<10)
	for {
		for len(received) > 0 {
			event, n, err := d.Next(received)
			if err != nil {
				s.code = "invalid: " + err.Error()
				return
			}
			received = received[n:]
			s.handle(event)
		}
		n, err := s.conn.Read(buf)
		if err != nil {
			return
		}
		received = buf[:n]
	}
}

// handle handles what the client sent.
func (s *server) handle(e engine.Event) {
	switch e.Kind {
	case engine.EventData:
		if !s.hasOpened() {
			close(s.opened)
			if s.fault.unread {
				<-s.served
			}
		}
	case engine.EventClose:
		code, _, _ := engine.ParseClose(e.Payload)
		s.code = code.String()
		if s.fault.closes {
			s.conn.Close()
		}
	}
}

// say sends bytes, over HTTP/2 as DATA.
func (s *server) say(p string) {
	if s.framer != nil {
		s.framer.WriteData(s.stream, false, []byte(p))
		return
	}
	io.WriteString(s.conn, p)
}

// repeat sends bytes n times, or until a write fails if n is 0.
func (s *server) repeat(p string, n int) {
	bytes := []byte(p)
	for i := 0; n == 0 || i < n; i++ {
		if _, err := s.conn.Write(bytes); err != nil {
			return
		}
	}
}
