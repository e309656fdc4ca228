package websock

import (
	"cmp"
	"context"
	stdtls "crypto/tls"
	"errors"
	"net"
	"net/url"
	"os"
	"slices"

	"golang.org/x/net/http/httpproxy"
	"golang.org/x/net/proxy"

	"github.com/seed004e8d11/websock/internal/endpoint"
	"github.com/seed004e8d11/websock/internal/handshake"
)

// NoProxy is a Config.Proxy that uses no proxy and ignores the environment.
func NoProxy(*url.URL) (*url.URL, error) { return nil, nil }

// ProxyURL returns a Config.Proxy that uses the proxy via for every server. via must not be changed
// afterwards.
func ProxyURL(via *url.URL) func(*url.URL) (*url.URL, error) {
	return func(*url.URL) (*url.URL, error) { return via, nil }
}

// proxyVariables name the proxies of environmentProxy, in either case.
var proxyVariables = []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"}

// environmentHasProxy reports whether environmentProxy may return a proxy.
func environmentHasProxy() bool {
	return slices.ContainsFunc(proxyVariables, func(name string) bool { return os.Getenv(name) != "" })
}

// environmentProxy is the default of Config.Proxy. It uses the variables HTTP_PROXY, for ws,
// HTTPS_PROXY, for wss, and NO_PROXY as net/http does, and ALL_PROXY if the first or the second is
// not set.
func environmentProxy(u *url.URL) (*url.URL, error) {
	as := *u
	as.Scheme = map[string]string{"ws": "http", "wss": "https"}[u.Scheme]
	env := httpproxy.FromEnvironment()
	if env.HTTPProxy == "" {
		env.HTTPProxy = cmp.Or(os.Getenv("ALL_PROXY"), os.Getenv("all_proxy"))
		env.CGI = false // ALL_PROXY, unlike HTTP_PROXY, can't be set by a header of a CGI request
	}
	env.HTTPSProxy = cmp.Or(env.HTTPSProxy, os.Getenv("ALL_PROXY"), os.Getenv("all_proxy"))
	return env.ProxyFunc()(&as)
}

// A proxyServer is a proxy that can be connected to.
type proxyServer struct {
	url *url.URL
	at  endpoint.Endpoint
}

// proxyFor returns the proxy for an endpoint, nil for none.
func proxyFor(cfg *Config, to *endpoint.Endpoint) (*proxyServer, error) {
	if to.Network != "tcp" {
		return nil, nil
	}
	choose := cfg.Proxy
	switch {
	case choose == nil && !environmentHasProxy(), idOf(choose) == idOf(NoProxy):
		return nil, nil // without making the URL
	case choose == nil:
		choose = environmentProxy
	}
	via, err := choose(to.URL())
	switch {
	case err != nil:
		return nil, &HandshakeError{Reason: "no proxy can be chosen", Err: err}
	case via == nil:
		return nil, nil
	}
	at, err := endpoint.Proxy(via)
	if err != nil {
		return nil, withProxy(&HandshakeError{Reason: "the proxy's URL can't be used", Err: err}, via)
	}
	return &proxyServer{url: via, at: at}, nil
}

// dialProxy connects to addr through a proxy.
func dialProxy(ctx context.Context, cfg *Config, server *proxyServer, addr string) (net.Conn, error) {
	via := server.url
	conn, err := dialDirect(ctx, cfg, &server.at)
	if err == nil && server.at.Secure {
		conn, err = startProxyTLS(ctx, cfg, conn, server.at.Host)
	}
	if err != nil {
		return nil, err
	}
	cfg.trace().proxyStart(via, addr)
	if via.Scheme == "http" || via.Scheme == "https" {
		err = tunnel(ctx, cfg, conn, via, addr)
	} else {
		err = socks(ctx, conn, via, addr)
	}
	cfg.trace().proxyDone(via, addr, err)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// startProxyTLS performs the TLS handshake with an https proxy.
func startProxyTLS(ctx context.Context, cfg *Config, conn net.Conn, host string) (net.Conn, error) {
	config := cfg.ProxyTLS
	if config == nil {
		config = &stdtls.Config{MinVersion: stdtls.VersionTLS12, SessionTicketsDisabled: true} // the tickets of a config that is used once are of no use
		if cfg.TLS != nil {
			config.RootCAs = cfg.TLS.RootCAs
		}
	}
	return startTLS(ctx, cfg.trace(), conn, host, config)
}

// tunnel asks an HTTP proxy to connect to addr.
func tunnel(ctx context.Context, cfg *Config, conn net.Conn, via *url.URL, addr string) error {
	request := &handshake.TunnelRequest{Target: addr, User: via.User, MaxSize: cfg.Limits.WithDefaults().HandshakeSize}
	if cfg.ProxyHeader != nil {
		var err error
		if request.Header, err = cfg.ProxyHeader(ctx, via, addr); err != nil {
			return &HandshakeError{Reason: "ProxyHeader failed", Err: err}
		}
	}
	return handshake.Tunnel(ctx, conn, request)
}

// socks asks a SOCKS5 proxy to connect to addr (RFC 1928), with user name and password if via has
// them (RFC 1929). The proxy looks host names up.
func socks(ctx context.Context, conn net.Conn, via *url.URL, addr string) error {
	var auth *proxy.Auth
	if via.User != nil {
		password, _ := via.User.Password()
		auth = &proxy.Auth{User: via.User.Username(), Password: password}
	}
	dialer, err := proxy.SOCKS5("tcp", via.Host, auth, openConn{conn})
	if err == nil {
		_, err = dialer.(proxy.ContextDialer).DialContext(ctx, "tcp", addr)
	}
	if err != nil {
		return &HandshakeError{Reason: "the proxy can't connect to the server", Err: withCtxErr(ctx, err)}
	}
	return nil
}

// openConn is a dialer that returns an open connection: the SOCKS dialer connects to its proxy with it. The
// connection that the SOCKS dialer returns is a wrapper without a descriptor, and isn't used.
type openConn struct{ conn net.Conn }

func (c openConn) DialContext(context.Context, string, string) (net.Conn, error) {
	return c.conn, nil
}

// Dial makes openConn a proxy.Dialer.
func (c openConn) Dial(string, string) (net.Conn, error) { return c.conn, nil }

// withProxy adds to an error the proxy that it is about.
func withProxy(err error, via *url.URL) error {
	var failed *HandshakeError
	if errors.As(err, &failed) {
		failed.Proxy = via.Host
	}
	return err
}
