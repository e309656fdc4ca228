package websock

import (
	"context"
	stdtls "crypto/tls"
	"errors"
	"net"
	"net/url"

	"github.com/seed004e8d11/websock/handshake"
	"github.com/seed004e8d11/websock/transport/tls"
	"golang.org/x/net/http/httpproxy"
	"golang.org/x/net/proxy"
)

// NoProxy is a Config.Proxy that goes through none, whatever the environment says.
func NoProxy(*url.URL) (*url.URL, error) { return nil, nil }

// environmentProxy is Config.Proxy's default: the variables HTTP_PROXY, HTTPS_PROXY and
// NO_PROXY, as net/http understands them, the second for wss.
func environmentProxy(u *url.URL) (*url.URL, error) {
	as := *u
	as.Scheme = map[string]string{"ws": "http", "wss": "https"}[u.Scheme]
	return httpproxy.FromEnvironment().ProxyFunc()(&as)
}

// A dialFunc is Config.NetDial.
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// reach connects to the endpoint's address, through a proxy if there is to be one.
func reach(ctx context.Context, cfg *Config, to endpoint) (net.Conn, error) {
	var dial dialFunc = cfg.NetDial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	via, err := proxyFor(cfg, to)
	switch {
	case err != nil:
		return nil, &HandshakeError{Reason: "no proxy can be chosen", Err: err}
	case via == nil:
		return direct(ctx, dial, to.network, to.address())
	}
	switch via.Scheme {
	case "http", "https":
		return reachByTunnel(ctx, cfg, dial, via, to.address())
	case "socks5", "socks5h":
		return reachBySOCKS(ctx, dial, via, to.address())
	}
	return nil, &HandshakeError{Reason: "proxy scheme " + via.Scheme + " is none of http, https, socks5, socks5h"}
}

func proxyFor(cfg *Config, to endpoint) (*url.URL, error) {
	switch {
	case to.network != "tcp":
		return nil, nil
	case cfg.Proxy != nil:
		return cfg.Proxy(to.url())
	}
	return environmentProxy(to.url())
}

func direct(ctx context.Context, dial dialFunc, network, addr string) (net.Conn, error) {
	conn, err := dial(ctx, network, addr)
	if err != nil {
		return nil, &HandshakeError{Reason: "can't connect to " + addr, Err: inTime(ctx, err)}
	}
	return conn, nil
}

// reachByTunnel connects through an HTTP proxy, itself reached with TLS if its scheme is
// https; it must then be trusted by the roots of Config.TLS.
func reachByTunnel(ctx context.Context, cfg *Config, dial dialFunc, via *url.URL, addr string) (net.Conn, error) {
	port := via.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[via.Scheme]
	}
	conn, err := direct(ctx, dial, "tcp", net.JoinHostPort(via.Hostname(), port))
	if err != nil {
		return nil, err
	}
	tunnel := conn
	if via.Scheme == "https" {
		config := &stdtls.Config{MinVersion: stdtls.VersionTLS12}
		if cfg.TLS != nil {
			config.RootCAs = cfg.TLS.RootCAs
		}
		if tunnel, err = secure(ctx, conn, via.Hostname(), config); err != nil {
			return nil, err
		}
	}
	if err := handshake.Tunnel(ctx, tunnel, addr, via.User, cfg.Limits.WithDefaults().HandshakeSize); err != nil {
		tunnel.Close()
		return nil, err
	}
	return tunnel, nil
}

// reachBySOCKS connects through a SOCKS5 proxy, which looks host names up itself.
func reachBySOCKS(ctx context.Context, dial dialFunc, via *url.URL, addr string) (net.Conn, error) {
	port := via.Port()
	if port == "" {
		port = "1080"
	}
	var auth *proxy.Auth
	if via.User != nil {
		password, _ := via.User.Password()
		auth = &proxy.Auth{User: via.User.Username(), Password: password}
	}
	through := &remembering{dial: dial}
	dialer, err := proxy.SOCKS5("tcp", net.JoinHostPort(via.Hostname(), port), auth, through)
	if err == nil {
		_, err = dialer.(proxy.ContextDialer).DialContext(ctx, "tcp", addr)
	}
	if err != nil {
		return nil, &HandshakeError{Reason: "can't connect to " + addr + " through the proxy " + via.Host, Err: inTime(ctx, err)}
	}
	return through.conn, nil
}

// remembering keeps the connection that it makes: what a SOCKS dialer returns is
// wrapped, and has no descriptor to read from.
type remembering struct {
	dial dialFunc
	conn net.Conn
}

func (r *remembering) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	var err error
	r.conn, err = r.dial(ctx, network, addr)
	return r.conn, err
}

// Dial is there because proxy.SOCKS5 demands it.
func (r *remembering) Dial(network, addr string) (net.Conn, error) {
	return r.DialContext(context.Background(), network, addr)
}

// secure performs the TLS handshake with host over conn, or closes it.
func secure(ctx context.Context, conn net.Conn, host string, config *stdtls.Config) (net.Conn, error) {
	secured, err := tls.Client(ctx, conn, host, config)
	if err != nil {
		conn.Close()
		return nil, &HandshakeError{Reason: "TLS with " + host, Err: inTime(ctx, err)}
	}
	return secured, nil
}

// inTime adds to an error that the context's end caused what that was.
func inTime(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
		return errors.Join(cause, err)
	}
	return err
}
