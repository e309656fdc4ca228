package main

import (
	"bytes"
	"context"
	stdtls "crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"
	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport/tls"
)

// serve is the command of that name.
type serve struct {
	stdio
	addr      string
	shared    bool
	compress  bool
	tls       bool
	cert, key string
	push      time.Duration
	size      int
	stdin     bool
	transport string

	conns *connSet
}

func serveCommand(streams stdio) *ffcli.Command {
	s := &serve{stdio: streams, conns: newConnSet()}
	fs := streams.flagSet("serve")
	s.register(fs)
	return &ffcli.Command{
		Name:       "serve",
		ShortUsage: "websock serve [flags]",
		ShortHelp:  "echo what comes, or with -push send to everybody",
		LongHelp:   "The first line printed is the URL of the server. An interrupt closes all\nconnections with code 1001.",
		FlagSet:    fs,
		Exec:       s.exec,
	}
}

func (s *serve) register(fs *flag.FlagSet) {
	fs.StringVar(&s.addr, "addr", "127.0.0.1:8080", "host and port to listen on (port 0: any that is free)")
	fs.BoolVar(&s.shared, "reuseport", false, "share the port with other servers that have this flag: the system spreads connections over them (Linux)")
	fs.BoolVar(&s.compress, "compress", false, "compress for clients that offer it (permessage-deflate)")
	fs.BoolVar(&s.tls, "tls", false, "speak TLS (wss), with a certificate of its own making unless -tls-cert names one")
	fs.StringVar(&s.cert, "tls-cert", "", "PEM `file` with the certificate, for wss")
	fs.StringVar(&s.key, "tls-key", "", "PEM `file` with its key")
	fs.DurationVar(&s.push, "push", 0, "send a message to all connections at this interval, and echo nothing")
	fs.IntVar(&s.size, "size", 128, "bytes of a pushed message")
	fs.StringVar(&s.transport, "transport", defaultTransport, "what carries the connections: "+transportNames())
	fs.BoolVar(&s.stdin, "stdin", false, "end when standard input ends, not on an interrupt")
}

func (s *serve) exec(ctx context.Context, args []string) error {
	switch {
	case len(args) > 0:
		return s.misused("serve takes no arguments, but there is %q", args[0])
	case (s.cert == "") != (s.key == ""):
		return s.misused("-tls-cert and -tls-key go together")
	case transports[s.transport] == nil:
		return s.misused("there is no transport %q; there is: %s", s.transport, transportNames())
	case !isListenAddr(s.addr):
		return s.misused("-addr is no host and port: %q", s.addr)
	case s.push < 0 || s.size < 0 || s.size > engine.DefaultMessageSize:
		return s.misused("-push is not below 0, and -size is 0 to %d", engine.DefaultMessageSize)
	}
	if s.tls && s.cert == "" {
		own, err := s.ownCertificate()
		if err != nil {
			return err
		}
		defer own.remove()
	}
	config := net.ListenConfig{}
	if s.shared {
		config.Control = sharePort
	}
	listener, err := config.Listen(ctx, "tcp", s.addr)
	if err != nil {
		return err
	}
	if s.stdin {
		ended, end := context.WithCancel(context.WithoutCancel(ctx))
		go func() {
			io.Copy(io.Discard, s.in)
			end()
		}()
		ctx = ended
	}
	return s.serve(ctx, listener)
}

// isListenAddr reports whether addr is a host and port. Whether there is such a host, and
// whether it is this one, the system knows.
func isListenAddr(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	_, err = net.LookupPort("tcp", port)
	return err == nil
}

// ownCertificate makes a certificate for the host to listen on, and says where it is.
func (s *serve) ownCertificate() (*selfSigned, error) {
	host, _, err := net.SplitHostPort(s.addr)
	if err != nil {
		return nil, err
	}
	own, err := newSelfSigned(host)
	if err != nil {
		return nil, err
	}
	s.cert, s.key = own.cert, own.key
	fmt.Fprintln(s.err, "the certificate, for -ca:", own.cert)
	return own, nil
}

// serve serves until ctx ends.
func (s *serve) serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           http.HandlerFunc(s.accept),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(s.err, "websock: ", 0),
	}
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true) // what an opening handshake is made of
	failed := make(chan error, 1)
	go func() { failed <- s.listen(server, listener) }()
	if s.push > 0 {
		go s.broadcast(ctx)
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	server.Close()
	<-failed
	s.conns.close(engine.CloseGoingAway)
	return nil
}

func (s *serve) listen(server *http.Server, listener net.Listener) error {
	url := "ws://" + listener.Addr().String() + "/"
	if s.cert == "" {
		fmt.Fprintln(s.out, url)
		return server.Serve(listener)
	}
	certificate, err := stdtls.LoadX509KeyPair(s.cert, s.key)
	if err != nil {
		return err
	}
	config := &stdtls.Config{Certificates: []stdtls.Certificate{certificate}, MinVersion: stdtls.VersionTLS12}
	fmt.Fprintln(s.out, "wss"+url[len("ws"):])
	return server.Serve(tls.NewListener(listener, config)) // whose connections can move to an event loop
}

// accept makes a connection of a request. Its goroutine ends with the request: the
// handler is called by the transport.
func (s *serve) accept(w http.ResponseWriter, r *http.Request) {
	options := &websock.AcceptOptions{Transport: transports[s.transport]}
	if s.compress {
		options.Compression = engine.DefaultCompression
	}
	conn, err := websock.Accept(w, r, options)
	if err != nil {
		return // the client has been told
	}
	if !s.conns.add(conn) {
		conn.CloseWith(engine.CloseGoingAway, "")
		return
	}
	if err := conn.SetHandler(engine.Messages(s.deliver, s.finish)); err != nil {
		conn.Close()
		s.conns.remove(conn)
	}
}

func (s *serve) deliver(conn *engine.Conn, op engine.Opcode, msg []byte) {
	if s.push > 0 {
		return
	}
	var full *engine.LimitError
	if errors.As(conn.SendFrame(op, true, msg), &full) { // any other failure ends in finish
		s.echoLater(conn, op, bytes.Clone(msg))
	}
}

// echoLater takes nothing more from a client that doesn't take its echoes, until it does.
func (s *serve) echoLater(conn *engine.Conn, op engine.Opcode, msg []byte) {
	conn.Pause()
	go func() {
		conn.Drain(0)
		conn.SendFrame(op, true, msg)
		conn.Resume()
	}()
}

func (s *serve) finish(conn *engine.Conn, err error) {
	s.conns.remove(conn)
	var broken *engine.ProtocolError
	if errors.As(err, &broken) {
		fmt.Fprintln(s.err, err)
	}
}
