package websock

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/endpoint"
	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/internal/keepalive"
	"github.com/seed004e8d11/websock/transport"
)

// Open connects to a server as cfg says and performs the opening handshake (RFC
// 6455 section 4.1). ctx bounds that work, not the connection.
//
// Every error is a *HandshakeError, with the HTTP answer if there was one;
// errors.Is and errors.As find the cause: context.DeadlineExceeded, a
// *net.OpError, a *tls.CertificateVerificationError.
func Open(ctx context.Context, cfg Config) (*engine.Conn, error) {
	to, err := endpoint.New(cfg.Host, cfg.Port, cfg.Path, cfg.Secure)
	if err != nil {
		return nil, &HandshakeError{Reason: "Host, Port and Path can't be used", Err: err}
	}
	return open(ctx, &cfg, to)
}

// open opens a connection to an endpoint, or where that redirects to.
func open(ctx context.Context, cfg *Config, to endpoint.Endpoint) (*engine.Conn, error) {
	r := route{to: to, header: cfg.Header}
	c, err := r.open(ctx, cfg)
	if err != nil {
		return nil, withHost(err, &r.to)
	}
	return c, nil
}

// withHost says in an error whom it was about.
func withHost(err error, to *endpoint.Endpoint) error {
	var failed *HandshakeError
	if errors.As(err, &failed) {
		failed.Host = to.Address()
	}
	return err
}

func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	switch {
	case d < 0:
		return ctx, func() {}
	case d == 0:
		d = DefaultTimeout
	}
	return context.WithTimeout(ctx, d)
}

// dial connects to the endpoint and secures the connection if it is to be.
func dial(ctx context.Context, cfg *Config, to *endpoint.Endpoint) (net.Conn, error) {
	if to.Secure && cfg.DialTLS != nil {
		return dialTLS(ctx, cfg, to)
	}
	conn, err := reach(ctx, cfg, to)
	if err != nil || !to.Secure {
		return conn, err
	}
	return secure(ctx, cfg.trace(), conn, to.Host, cfg.TLS)
}

// ask performs the opening handshake over conn, or closes it.
func ask(ctx context.Context, trace *Trace, conn net.Conn, request *handshake.Request) (*handshake.Result, error) {
	trace.handshakeStart(request.Host)
	result, err := handshake.Client(ctx, trace.watch(conn), request)
	trace.handshakeDone(request.Host, err)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return result, nil
}

// A way is how an open connection is carried and served.
type way struct {
	transport transport.Reservation
	handler   engine.Handler
	keepAlive *keepalive.Policy
}

// attach makes a Conn of a connection on which the opening handshake is done.
func attach(conn net.Conn, result *handshake.Result, w way, o engine.Options) (*engine.Conn, error) {
	carrier, err := Attach(w.transport, conn, result.Early)
	if err != nil {
		conn.Close()
		return nil, &HandshakeError{Reason: localOr("transport refuses the connection", err), Err: err}
	}
	o.Subprotocol = result.Subprotocol
	o.RawHeader = result.RawHeader
	o.Compression = result.Compression
	c := engine.NewConn(carrier, o)
	if w.handler != nil {
		if err := c.SetHandler(w.handler); err != nil {
			c.Close()
			return nil, &HandshakeError{Reason: "transport can't serve a handler", Err: err}
		}
	}
	keepAlive(c, w.keepAlive)
	return c, nil
}
