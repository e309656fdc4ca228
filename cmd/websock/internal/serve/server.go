// Package serve is a server for tests: it echoes messages, or sends one to all clients at an
// interval.
package serve

import (
	"bytes"
	"context"
	stdtls "crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/transport/tls"
)

// Options are the settings of a server.
type Options struct {
	Addr        string // host and port to listen on
	ReusePort   bool   // share the port with other servers
	Compress    bool
	TLS         bool          // with a certificate of its own, unless there is a CertFile
	CertFile    string        // PEM, for TLS
	KeyFile     string        // PEM, for TLS
	H2C         bool          // HTTP/2 without TLS, too
	MaxStreams  int           // that a client may have open on an HTTP/2 connection
	Push        time.Duration // interval of messages to all; 0: echo
	MessageSize int           // of those messages
	Transport   websock.Transport
	UntilEOF    bool // end at the end of standard input, not with ctx
}

// Run serves until ctx ends. It prints the URL as the first line of standard output.
func Run(ctx context.Context, streams console.Streams, o Options) error {
	s := &server{Options: o, Streams: streams, conns: newConnSet()}
	s.handler = websock.Messages(s.onMessage, s.onClose)
	s.calm = time.AfterFunc(math.MaxInt64, debug.FreeOSMemory) // until there is a burst
	defer s.calm.Stop()
	if s.TLS && s.CertFile == "" {
		certificate, err := s.createCertificate()
		if err != nil {
			return err
		}
		defer certificate.Remove()
	}
	config := net.ListenConfig{}
	if s.ReusePort {
		config.Control = reusePort
	}
	listener, err := config.Listen(ctx, "tcp", s.Addr)
	if err != nil {
		return err
	}
	if s.UntilEOF {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(context.WithoutCancel(ctx))
		go func() {
			io.Copy(io.Discard, s.In)
			cancel()
		}()
	}
	return s.serve(ctx, listener)
}

type server struct {
	Options
	console.Streams
	conns   *connSet
	handler websock.Handler // of all connections
	http2   websock.HTTP2Server

	accepted atomic.Int64
	calm     *time.Timer // frees memory after a burst of handshakes
}

// A handshake leaves about 14 KB of garbage, most of it net/http's. If thousands of connections come
// and are then idle, it would stay for minutes, until the runtime's next collection.
const (
	burst    = 256 // handshakes
	calmTime = time.Second
)

// createCertificate makes a certificate for the host to listen on, and tells where it is.
func (s *server) createCertificate() (*Certificate, error) {
	host, _, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return nil, err
	}
	certificate, err := NewCertificate(host)
	if err != nil {
		return nil, err
	}
	s.CertFile, s.KeyFile = certificate.CertFile, certificate.KeyFile
	fmt.Fprintln(s.Err, "the certificate, for -ca:", certificate.CertFile)
	return certificate, nil
}

func (s *server) serve(ctx context.Context, listener net.Listener) error {
	defer listener.Close()
	server, err := s.httpServer()
	if err != nil {
		return err
	}
	url := "ws://" + listener.Addr().String() + "/"
	if server.TLSConfig != nil {
		url = "wss" + url[len("ws"):]
		listener = tls.NewListener(listener, server.TLSConfig) // its connections can move to an event loop
	}
	fmt.Fprintln(s.Out, url)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	if s.Push > 0 {
		go s.push(ctx)
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	server.Shutdown(ctx) // accepts nothing more, and returns at once since ctx has ended
	<-failed
	s.conns.close(websock.CloseGoingAway)
	s.http2.Close()
	server.Close()
	return nil
}

// httpServer returns a server of HTTP/1.1, and of HTTP/2 on the same port if there is TLS or H2C.
func (s *server) httpServer() (*http.Server, error) {
	server := &http.Server{
		Handler:           http.HandlerFunc(s.accept),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(s.Err, "websock: ", 0),
		Protocols:         new(http.Protocols),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: s.MaxStreams},
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(s.H2C)
	if s.CertFile != "" {
		certificate, err := stdtls.LoadX509KeyPair(s.CertFile, s.KeyFile)
		if err != nil {
			return nil, err
		}
		server.TLSConfig = &stdtls.Config{Certificates: []stdtls.Certificate{certificate}, MinVersion: stdtls.VersionTLS12}
		server.Protocols.SetHTTP2(true)
	}
	if !server.Protocols.HTTP2() && !s.H2C {
		return server, nil
	}
	s.http2.Transport = s.Transport
	return server, s.http2.Configure(server)
}

// accept upgrades a request to a connection. Its goroutine ends with the request, since the
// transport calls the handler.
func (s *server) accept(w http.ResponseWriter, r *http.Request) {
	if !s.conns.begin() {
		http.Error(w, "the server is ending", http.StatusServiceUnavailable)
		return
	}
	options := &websock.AcceptOptions{Transport: s.Transport}
	if s.Compress {
		options.Compression = websock.DefaultCompression
	}
	conn, err := websock.Accept(w, r, options)
	goesOn := s.conns.opened(conn)
	if err != nil {
		return // Accept has sent an error response
	}
	if err := conn.SetHandler(s.handler); err != nil {
		conn.Close()
		s.conns.remove(conn)
		return
	}
	if s.accepted.Add(1)%burst == 0 {
		s.calm.Reset(calmTime)
	}
	if !goesOn {
		go conn.CloseWith(websock.CloseGoingAway, "")
	}
}

func (s *server) onMessage(conn *websock.Conn, op websock.Opcode, msg []byte) {
	if s.Push > 0 {
		return
	}
	var full *websock.LimitError
	if errors.As(conn.SendFrame(op, true, msg), &full) { // onClose gets any other error
		s.echoLater(conn, op, bytes.Clone(msg))
	}
}

// echoLater stops receiving from a client that doesn't read its echoes, until it does.
func (s *server) echoLater(conn *websock.Conn, op websock.Opcode, msg []byte) {
	conn.Pause()
	go func() {
		conn.Drain(0)
		conn.SendFrame(op, true, msg)
		conn.Resume()
	}()
}

func (s *server) onClose(conn *websock.Conn, err error) {
	s.conns.remove(conn)
	var broken *websock.ProtocolError
	if errors.As(err, &broken) {
		fmt.Fprintln(s.Err, err)
	}
}
