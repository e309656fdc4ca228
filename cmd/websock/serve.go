package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/serve"
	"github.com/seed004e8d11/websock/transport/h2"
)

type serveCommand struct {
	stdio
	options   serve.Options
	transport string
}

func newServeCommand(s stdio) *ffcli.Command {
	c := &serveCommand{stdio: s}
	fs := s.flagSet("serve")
	c.register(fs)
	return &ffcli.Command{
		Name:       "serve",
		ShortUsage: "websock serve [flags]",
		ShortHelp:  "echo messages, or with -push send to everybody",
		LongHelp: "The first line printed is the URL of the server. An interrupt closes all\nconnections with code 1001. " +
			"With TLS, clients may choose HTTP/2, in which many\nWebSockets share a connection.",
		FlagSet: fs,
		Exec:    c.exec,
	}
}

func (c *serveCommand) register(fs *flag.FlagSet) {
	o := &c.options
	fs.StringVar(&o.Addr, "addr", "127.0.0.1:8080", "`address` to listen on: a port of the loopback interface, or a host and port (port 0: any that is free)")
	fs.BoolVar(&o.ReusePort, "reuseport", false, "share the port with other servers that have this flag: the system spreads connections over them (Linux)")
	fs.BoolVar(&o.Compress, "compress", false, "compress for clients that offer it (permessage-deflate)")
	fs.BoolVar(&o.TLS, "tls", false, "speak TLS (wss), with a self-signed certificate unless -tls-cert names one")
	fs.StringVar(&o.CertFile, "tls-cert", "", "PEM `file` with the certificate, for wss")
	fs.StringVar(&o.KeyFile, "tls-key", "", "PEM `file` with its key")
	fs.BoolVar(&o.H2C, "h2c", false, "speak HTTP/2 also without TLS, to clients that begin with it (prior knowledge)")
	fs.IntVar(&o.MaxStreams, "streams", h2.DefaultMaxStreams, "WebSockets that a client may have on one HTTP/2 connection")
	fs.DurationVar(&o.Push, "push", 0, "send a message to all connections at this interval, and echo nothing")
	fs.IntVar(&o.MessageSize, "size", 128, "bytes of a pushed message")
	fs.StringVar(&c.transport, "transport", defaultTransport, "what carries the connections: "+transportNames())
	fs.BoolVar(&o.UntilEOF, "stdin", false, "end when standard input ends, not on an interrupt")
}

func (c *serveCommand) exec(ctx context.Context, args []string) error {
	o := &c.options
	addr, err := listenAddr(o.Addr)
	switch {
	case len(args) > 0:
		return c.usageError("serve takes no arguments, but there is %q: -addr has the address", args[0])
	case (o.CertFile == "") != (o.KeyFile == ""):
		return c.usageError("-tls-cert and -tls-key go together")
	case o.H2C && (o.TLS || o.CertFile != ""):
		return c.usageError("-h2c is for a server without TLS: with TLS, clients choose HTTP/2 in the handshake")
	case o.MaxStreams < 1 || o.MaxStreams > maxStreams:
		return c.usageError("-streams is 1 to %d", maxStreams)
	case transports[c.transport] == nil:
		return c.usageError("there is no transport %q; there is: %s", c.transport, transportNames())
	case err != nil:
		return c.usageError("-addr: %v", err)
	case o.Push < 0 || o.MessageSize < 0 || o.MessageSize > websock.DefaultMessageSize:
		return c.usageError("-push must not be negative, and -size is 0 to %d", websock.DefaultMessageSize)
	}
	o.Addr, o.Transport = addr, transports[c.transport]
	return serve.Run(ctx, c.Streams, *o)
}

// listenAddr returns the host and port that addr means: a port alone is one of the loopback interface.
func listenAddr(addr string) (string, error) {
	full := addr
	if !strings.Contains(addr, ":") {
		full = net.JoinHostPort("127.0.0.1", addr)
	}
	if !isListenAddr(full) {
		return "", fmt.Errorf("%q is not a port, or a host and port", addr)
	}
	return full, nil
}

// isListenAddr reports whether addr has the form of a host and port. Whether the host exists is
// found by listening.
func isListenAddr(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	_, err = net.LookupPort("tcp", port)
	return err == nil
}
