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
	"net"
	"net/http"
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
	Push        time.Duration // interval of messages to all; 0: echo
	MessageSize int           // of those messages
	Transport   websock.Transport
	UntilEOF    bool // end at the end of standard input, not with ctx
}

// Run serves until ctx ends. It prints the URL as the first line of standard output.
func Run(ctx context.Context, streams console.Streams, o Options) error {
	s := &server{Options: o, Streams: streams, conns: newConnSet()}
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
	conns *connSet
}

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
	server := &http.Server{
		Handler:           http.HandlerFunc(s.accept),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(s.Err, "websock: ", 0),
	}
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true) // an opening handshake is HTTP/1.1
	failed := make(chan error, 1)
	go func() { failed <- s.listen(server, listener) }()
	if s.Push > 0 {
		go s.push(ctx)
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	server.Close()
	<-failed
	s.conns.close(websock.CloseGoingAway)
	return nil
}

func (s *server) listen(server *http.Server, listener net.Listener) error {
	url := "ws://" + listener.Addr().String() + "/"
	if s.CertFile == "" {
		fmt.Fprintln(s.Out, url)
		return server.Serve(listener)
	}
	certificate, err := stdtls.LoadX509KeyPair(s.CertFile, s.KeyFile)
	if err != nil {
		return err
	}
	config := &stdtls.Config{Certificates: []stdtls.Certificate{certificate}, MinVersion: stdtls.VersionTLS12}
	fmt.Fprintln(s.Out, "wss"+url[len("ws"):])
	return server.Serve(tls.NewListener(listener, config)) // its connections can move to an event loop
}

// accept upgrades a request to a connection. Its goroutine ends with the request, since the
// transport calls the handler.
func (s *server) accept(w http.ResponseWriter, r *http.Request) {
	options := &websock.AcceptOptions{Transport: s.Transport}
	if s.Compress {
		options.Compression = websock.DefaultCompression
	}
	conn, err := websock.Accept(w, r, options)
	if err != nil {
		return // Accept has sent an error response
	}
	if !s.conns.add(conn) {
		conn.CloseWith(websock.CloseGoingAway, "")
		return
	}
	if err := conn.SetHandler(websock.Messages(s.onMessage, s.onClose)); err != nil {
		conn.Close()
		s.conns.remove(conn)
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
