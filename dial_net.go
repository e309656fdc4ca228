package websock

import (
	"context"
	stdtls "crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http/httptrace"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/internal/deadline"
	"github.com/seed004e8d11/websock/internal/endpoint"
	"github.com/seed004e8d11/websock/internal/socket"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/tls"
)

// A route is the way to an endpoint.
type route struct {
	cfg   *Config
	to    endpoint.Endpoint
	proxy *proxyServer // nil: none
}

// transportDialer returns the Transport and the address that it connects to, or nil if package net has
// to connect.
func (r *route) transportDialer(ctx context.Context) (transport.Dialer, netip.AddrPort) {
	cfg, to := r.cfg, &r.to
	d, ok := cfg.Transport.(transport.Dialer)
	switch {
	case !ok, r.proxy != nil, to.Network != "tcp", to.Secure && cfg.DialTLS != nil,
		new(net.Dialer).MultipathTCP(), // the zero Dialer's, which GODEBUG can change
		cfg.Dialer != nil, cfg.NetDial != nil, cfg.trace().DialDone != nil, httptrace.ContextClientTrace(ctx) != nil:
		return nil, netip.AddrPort{}
	}
	ip, err := netip.ParseAddr(to.Host)
	if err != nil || ip.Zone() != "" || ip.Unmap().IsUnspecified() { // for which package net has a meaning of its own
		return nil, netip.AddrPort{}
	}
	return d, netip.AddrPortFrom(ip, uint16(to.Port))
}

// dial connects to the endpoint, through the proxy if there is one, and performs the TLS handshake
// if the endpoint demands it. protocols are offered with ALPN.
func (r *route) dial(ctx context.Context, protocols ...string) (net.Conn, error) {
	if r.to.Secure && r.cfg.DialTLS != nil {
		return r.dialTLS(ctx, protocols)
	}
	conn, err := r.dialNet(ctx)
	if err != nil {
		return nil, err
	}
	return r.secure(ctx, conn, protocols)
}

// secure performs the TLS handshake over conn if the endpoint demands it.
func (r *route) secure(ctx context.Context, conn net.Conn, protocols []string) (net.Conn, error) {
	if !r.to.Secure {
		return conn, nil
	}
	return startTLS(ctx, r.cfg.trace(), conn, r.to.Host, r.cfg.TLS, protocols...)
}

// dialReserved is dial, with a place reserved for the connection at the Transport. Nothing stays reserved
// after an error, nor if a function of the Config panics or calls runtime.Goexit.
func (r *route) dialReserved(ctx context.Context, protocols ...string) (net.Conn, transport.Reservation, error) {
	if d, addr := r.transportDialer(ctx); d != nil {
		conn, err := r.dialByTransport(ctx, d, addr, protocols)
		return conn, unreserved{d}, err
	}
	reserved, err := reserve(r.cfg.Transport)
	if err != nil {
		return nil, nil, err
	}
	dialled := false
	defer func() {
		if !dialled {
			reserved.Release()
		}
	}()
	conn, err := r.dial(ctx, protocols...)
	if err != nil {
		return nil, nil, err
	}
	dialled = true
	return conn, reserved, nil
}

// dialByTransport is dial with a transport.Dialer. Nothing stays open if a function of the Config panics:
// a connection that isn't package net's needn't be closed when it is garbage.
func (r *route) dialByTransport(ctx context.Context, d transport.Dialer, addr netip.AddrPort, protocols []string) (net.Conn, error) {
	conn, err := dialTraced(ctx, r.cfg, func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.DialTCP(ctx, addr)
	}, &r.to)
	if err != nil {
		return nil, err
	}
	secured := false
	defer func() {
		if !secured {
			conn.Close()
		}
	}()
	result, err := r.secure(ctx, conn, protocols)
	secured = err == nil
	return result, err
}

// dialNet connects to the endpoint, through the proxy if there is one, without TLS.
func (r *route) dialNet(ctx context.Context) (net.Conn, error) {
	if r.proxy == nil {
		return dialDirect(ctx, r.cfg, &r.to)
	}
	conn, err := dialProxy(ctx, r.cfg, r.proxy, r.to.Address())
	if err != nil {
		return nil, withProxy(err, r.proxy.url)
	}
	return conn, nil
}

// dialDirect connects to an endpoint, which may be a proxy, without TLS.
func dialDirect(ctx context.Context, cfg *Config, to *endpoint.Endpoint) (net.Conn, error) {
	return dialWithDeadlines(ctx, cfg, cfg.netDial, to)
}

// A dialFunc has the type of net.Dialer.DialContext.
type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// dialWithDeadlines connects to an endpoint with dial. The connection that it returns supports deadlines,
// even if that of dial doesn't.
func dialWithDeadlines(ctx context.Context, cfg *Config, dial dialFunc, to *endpoint.Endpoint) (net.Conn, error) {
	conn, err := dialTraced(ctx, cfg, dial, to)
	if err != nil {
		return nil, err
	}
	return deadline.Wrap(conn), nil
}

// dialTraced connects to an endpoint with dial, between the calls of Trace.
func dialTraced(ctx context.Context, cfg *Config, dial dialFunc, to *endpoint.Endpoint) (net.Conn, error) {
	network, addr := to.Network, to.Address()
	cfg.trace().dialStart(network, addr)
	conn, err := dial(ctx, network, addr)
	cfg.trace().dialDone(network, addr, conn, err)
	if err != nil {
		return nil, &HandshakeError{Reason: fileLimitOr("can't connect", err), Err: withCtxErr(ctx, err)}
	}
	return conn, nil
}

// netDial connects with NetDial or Dialer.
func (c *Config) netDial(ctx context.Context, network, addr string) (net.Conn, error) {
	if c.NetDial != nil {
		return callDial(ctx, c.NetDial, network, addr)
	}
	return socket.LatePort(c.Dialer).DialContext(ctx, network, addr)
}

var errNoConn = errors.New("the dial function returned neither a connection nor an error")

// callDial calls a dial function of the caller, which may ignore ctx. When ctx ends, callDial
// returns; the goroutine of dial remains, and closes the connection that dial returns.
func callDial(ctx context.Context, dial dialFunc, network, addr string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	dialed := make(chan result)
	go func() {
		r := result{err: errNoConn}
		defer func() { // runs even if dial calls runtime.Goexit
			select {
			case dialed <- r:
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
	case r := <-dialed:
		return r.conn, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// startTLS performs the TLS handshake with host over conn, and offers protocols, or http/1.1 if there
// are none. On an error it closes conn.
func startTLS(ctx context.Context, trace *Trace, conn net.Conn, host string, config *stdtls.Config, protocols ...string) (net.Conn, error) {
	trace.tlsStart(host)
	secured, err := tls.Client(ctx, conn, host, config, protocols...)
	if err != nil {
		trace.tlsDone(host, stdtls.ConnectionState{}, err)
		conn.Close()
		return nil, &HandshakeError{Reason: "TLS with " + host, Err: withCtxErr(ctx, err)}
	}
	trace.tlsDone(host, secured.ConnectionState(), nil)
	return secured, nil
}

// dialTLS connects to the endpoint with Config.DialTLS.
func (r *route) dialTLS(ctx context.Context, protocols []string) (net.Conn, error) {
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return r.dialAndHandshake(ctx, network, addr, protocols)
	}
	return dialWithDeadlines(ctx, r.cfg, func(ctx context.Context, network, addr string) (net.Conn, error) {
		return callDial(ctx, dial, network, addr)
	}, &r.to)
}

// dialAndHandshake calls DialTLS. If the TLS handshake of a connection of crypto/tls isn't done, it
// performs it. If another protocol was negotiated than one of these, that is an error.
func (r *route) dialAndHandshake(ctx context.Context, network, addr string, protocols []string) (net.Conn, error) {
	conn, err := r.cfg.DialTLS(ctx, network, addr)
	secured, ok := conn.(*stdtls.Conn)
	if err != nil || !ok {
		return conn, err
	}
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	if protocol := negotiated(secured); protocol != "" && !slices.Contains(protocols, protocol) {
		conn.Close()
		return nil, fmt.Errorf("DialTLS has negotiated the protocol %q instead of %s", protocol, strings.Join(protocols, " or "))
	}
	return conn, nil
}

// withCtxErr adds ctx.Err() to an error that the end of ctx caused. The connection's deadline,
// which is that of ctx, may pass a moment before ctx ends.
func withCtxErr(ctx context.Context, err error) error {
	cause := ctx.Err()
	if end, ok := ctx.Deadline(); cause == nil && ok && !time.Now().Before(end) {
		cause = context.DeadlineExceeded
	}
	if cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}
