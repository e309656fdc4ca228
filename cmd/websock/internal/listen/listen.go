// Package listen is a server of WebSocket connections, each of which has a goroutine. It bounds how many
// there are, and accepts browsers only from pages that may connect.
package listen

import (
	"context"
	stdtls "crypto/tls"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/cmd/websock/internal/serve"
	"github.com/seed004e8d11/websock/transport/tls"
)

// Options are the settings of a server.
type Options struct {
	Addr         string        // host and port to listen on
	Path         string        // of the URL; "": any
	Origins      []string      // of pages that may connect, see CheckOrigin; nil: those of the same host
	TLS          bool          // with a certificate of its own, unless there is a CertFile
	CertFile     string        // PEM, for TLS
	KeyFile      string        // PEM, for TLS
	Max          int           // connections at a time
	MaxMessage   int           // bytes of a received message
	Timeout      time.Duration // without a sign of life of the client; 0: never
	Subprotocols []string      // to agree to, in order of preference
	Compress     bool
}

// A Handler serves a connection, and returns when it has ended. When ctx ends, the connection is closed; only
// a Handler that does not notice that needs ctx.
type Handler func(ctx context.Context, conn *websock.Conn, r *http.Request)

// Run serves until ctx ends. Then it closes all connections with CloseGoingAway, and waits until all Handlers
// have returned. It prints the URL as the first line of standard output.
func Run(ctx context.Context, streams console.Streams, o Options, handler Handler) error {
	s := &server{Options: o, Streams: streams, handler: handler, ctx: ctx, slots: make(chan struct{}, o.Max)}
	if s.TLS && s.CertFile == "" {
		certificate, err := s.createCertificate()
		if err != nil {
			return err
		}
		defer certificate.Remove()
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.Addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	return s.serve(listener)
}

type server struct {
	Options
	console.Streams
	handler Handler
	ctx     context.Context
	accept  websock.AcceptOptions
	slots   chan struct{} // has an element for each connection

	mu      sync.Mutex
	closing bool
	running sync.WaitGroup // the Handlers
}

// createCertificate makes a certificate for the host to listen on, and tells where it is.
func (s *server) createCertificate() (*serve.Certificate, error) {
	host, _, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return nil, err
	}
	certificate, err := serve.NewCertificate(host)
	if err != nil {
		return nil, err
	}
	s.CertFile, s.KeyFile = certificate.CertFile, certificate.KeyFile
	fmt.Fprintln(s.Err, "the certificate, for -ca:", certificate.CertFile)
	return certificate, nil
}

// handshakes is how many TCP connections there may be besides those that are WebSockets: they are in the
// opening handshake, or are being declined.
const handshakes = 128

func (s *server) serve(listener net.Listener) error {
	addr := listener.Addr().(*net.TCPAddr)
	limited := newLimitListener(listener, handshakes)
	listener = limited
	s.setAccept()
	const limit = 10 * time.Second
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: limit,
		WriteTimeout:      limit, // of refusals; Accept ends it
		MaxHeaderBytes:    websock.DefaultHandshakeSize,
		ConnState:         limited.connState,
		ErrorLog:          log.New(s.Err, "websock: ", 0),
	}
	server.SetKeepAlivesEnabled(false)
	url := "ws://" + addr.String() + s.Path
	if s.CertFile != "" {
		certificate, err := stdtls.LoadX509KeyPair(s.CertFile, s.KeyFile)
		if err != nil {
			return err
		}
		url = "wss" + url[len("ws"):]
		listener = tls.NewListener(listener, &stdtls.Config{Certificates: []stdtls.Certificate{certificate}, MinVersion: stdtls.VersionTLS12})
	}
	if s.Path == "" {
		url += "/"
	}
	fmt.Fprintln(s.Out, url)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-s.ctx.Done():
	}
	server.Close()
	<-failed
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

// setAccept sets the options of the opening handshake.
func (s *server) setAccept() {
	s.accept = websock.AcceptOptions{
		Subprotocols: s.Subprotocols,
		Limits:       websock.Limits{MessageSize: int64(s.MaxMessage)},
		KeepAlive:    websock.KeepAlive{Ping: s.Timeout},
	}
	if len(s.Origins) > 0 {
		s.accept.CheckOrigin = func(r *http.Request) bool { return isListed(r, s.Origins) }
	} else {
		s.accept.CheckRequest = checkHost
	}
	if s.Compress {
		s.accept.Compression = websock.DefaultCompression
	}
}

// ServeHTTP has the goroutine of a connection, from the request to its end.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.Path != "" && r.URL.Path != s.Path {
		http.NotFound(w, r)
		return
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "there are "+strconv.Itoa(s.Max)+" connections, and no more at a time", http.StatusServiceUnavailable)
		return
	}
	conn, err := websock.Accept(w, r, &s.accept)
	if err != nil {
		return // Accept has sent an error response
	}
	if !s.begin() {
		conn.CloseWith(websock.CloseGoingAway, "")
		return
	}
	defer s.running.Done()
	closed := make(chan struct{})
	stop := context.AfterFunc(s.ctx, func() {
		defer close(closed)
		conn.CloseWith(websock.CloseGoingAway, "")
	})
	s.handler(s.ctx, conn, r)
	conn.Close()
	if !stop() {
		<-closed
	}
}

// begin counts a Handler that is going to run, unless the server is closing.
func (s *server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.running.Add(1)
	return true
}
