package websock

import (
	"context"
	stdtls "crypto/tls"
	"errors"
	"net"

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
	cfg.trace().dialStart(network, addr)
	conn, err := cfg.netDial(ctx, network, addr)
	cfg.trace().dialDone(network, addr, conn, err)
	if err != nil {
		return nil, &HandshakeError{Reason: "can't connect to " + addr, Err: inTime(ctx, err)}
	}
	return conn, nil
}

// netDial connects as the Config says.
func (c *Config) netDial(ctx context.Context, network, addr string) (net.Conn, error) {
	if c.NetDial != nil {
		return c.NetDial(ctx, network, addr)
	}
	return c.dialer().DialContext(ctx, network, addr)
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

// inTime adds to an error that the context's end caused what that was.
func inTime(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
		return errors.Join(cause, err)
	}
	return err
}
