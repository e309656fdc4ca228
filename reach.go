package websock

import (
	"context"
	stdtls "crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/seed004e8d11/websock/internal/deadline"
	"github.com/seed004e8d11/websock/internal/endpoint"
	"github.com/seed004e8d11/websock/transport/tls"
)

// reach connects to the endpoint's address, through a proxy if there is to be one.
func reach(ctx context.Context, cfg *Config, to *endpoint.Endpoint) (net.Conn, error) {
	via, err := proxyFor(cfg, to)
	switch {
	case err != nil:
		return nil, &HandshakeError{Reason: "no proxy can be chosen", Err: err}
	case via == nil:
		return direct(ctx, cfg, to.Network, to.Address())
	}
	conn, err := through(ctx, cfg, via, to.Address())
	if err != nil {
		return nil, atProxy(err, via)
	}
	return conn, nil
}

// direct connects to addr.
func direct(ctx context.Context, cfg *Config, network, addr string) (net.Conn, error) {
	return traced(ctx, cfg, cfg.netDial, network, addr)
}

// A dialFunc connects.
type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// traced connects to addr with dial and tells the Trace.
func traced(ctx context.Context, cfg *Config, dial dialFunc, network, addr string) (net.Conn, error) {
	cfg.trace().dialStart(network, addr)
	conn, err := dial(ctx, network, addr)
	cfg.trace().dialDone(network, addr, conn, err)
	if err != nil {
		return nil, &HandshakeError{Reason: localOr("can't connect", err), Err: inTime(ctx, err)}
	}
	return deadline.Wrap(conn), nil
}

// netDial connects as the Config says.
func (c *Config) netDial(ctx context.Context, network, addr string) (net.Conn, error) {
	if c.NetDial != nil {
		return promptly(ctx, c.NetDial, network, addr)
	}
	return c.dialer().DialContext(ctx, network, addr)
}

var errNoConn = errors.New("the dial function returned neither a connection nor an error")

// promptly calls dial, which is the caller's and may ignore its context. When that ends, dial
// is left alone, and what it still returns is closed.
func promptly(ctx context.Context, dial dialFunc, network, addr string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	dialled := make(chan result)
	go func() {
		r := result{err: errNoConn}
		defer func() { // also if dial calls runtime.Goexit
			select {
			case dialled <- r:
			case <-ctx.Done():
				if r.conn != nil {
					r.conn.Close()
				}
			}
		}()
		if conn, err := dial(ctx, network, addr); conn != nil || err != nil {
			r = result{conn, err}
		}
	}()
	select {
	case r := <-dialled:
		return r.conn, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// secure performs the TLS handshake with host over conn, or closes it.
func secure(ctx context.Context, trace *Trace, conn net.Conn, host string, config *stdtls.Config) (net.Conn, error) {
	trace.tlsStart(host)
	secured, err := tls.Client(ctx, conn, host, config)
	if err != nil {
		trace.tlsDone(host, stdtls.ConnectionState{}, err)
		conn.Close()
		return nil, &HandshakeError{Reason: "TLS with " + host, Err: inTime(ctx, err)}
	}
	trace.tlsDone(host, secured.ConnectionState(), nil)
	return secured, nil
}

// dialTLS connects to the endpoint with Config.DialTLS.
func dialTLS(ctx context.Context, cfg *Config, to *endpoint.Endpoint) (net.Conn, error) {
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return promptly(ctx, cfg.dialAndHandshake, network, addr)
	}
	return traced(ctx, cfg, dial, to.Network, to.Address())
}

// dialAndHandshake calls DialTLS, and performs the TLS handshake of crypto/tls if that is still
// to be done.
func (c *Config) dialAndHandshake(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := c.DialTLS(ctx, network, addr)
	secured, ok := conn.(*stdtls.Conn)
	if err != nil || !ok {
		return conn, err
	}
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	if protocol := secured.ConnectionState().NegotiatedProtocol; protocol != "" && protocol != "http/1.1" {
		conn.Close()
		return nil, fmt.Errorf("DialTLS has agreed on the protocol %q, not on http/1.1", protocol)
	}
	return conn, nil
}

// inTime adds to an error that the context's end caused what that was. A connection's
// deadline, taken from ctx, may pass a moment before ctx says so.
func inTime(ctx context.Context, err error) error {
	cause := ctx.Err()
	if end, ok := ctx.Deadline(); cause == nil && ok && !time.Now().Before(end) {
		cause = context.DeadlineExceeded
	}
	if cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}
