package websock

import (
	"cmp"
	"context"
	stdtls "crypto/tls"
	"errors"
	"net"
	"net/url"
	"os"

	"golang.org/x/net/http/httpproxy"
	"golang.org/x/net/proxy"

	"github.com/seed004e8d11/websock/internal/endpoint"
	"github.com/seed004e8d11/websock/internal/handshake"
)

// NoProxy is a Config.Proxy that goes through none, whatever the environment says.
func NoProxy(*url.URL) (*url.URL, error) { return nil, nil }

// ProxyURL returns a Config.Proxy that goes through via, whatever is to be reached. via must not
// be changed afterwards.
func ProxyURL(via *url.URL) func(*url.URL) (*url.URL, error) {
	return func(*url.URL) (*url.URL, error) { return via, nil }
}

// environmentProxy is Config.Proxy's default: the variables HTTP_PROXY, HTTPS_PROXY and
// NO_PROXY, as net/http understands them, the second for wss, and ALL_PROXY in place of either
// that is not set.
func environmentProxy(u *url.URL) (*url.URL, error) {
	as := *u
	as.Scheme = map[string]string{"ws": "http", "wss": "https"}[u.Scheme]
	env := httpproxy.FromEnvironment()
	if env.HTTPProxy == "" {
		env.HTTPProxy = cmp.Or(os.Getenv("ALL_PROXY"), os.Getenv("all_proxy"))
		env.CGI = false // a header of a CGI request can't set that, as it can set HTTP_PROXY
	}
	env.HTTPSProxy = cmp.Or(env.HTTPSProxy, os.Getenv("ALL_PROXY"), os.Getenv("all_proxy"))
	return env.ProxyFunc()(&as)
}

// proxyFor returns the proxy to connect through; nil: none.
func proxyFor(cfg *Config, to *endpoint.Endpoint) (*url.URL, error) {
	switch {
	case to.Network != "tcp":
		return nil, nil
	case cfg.Proxy != nil:
		return cfg.Proxy(to.URL())
	}
	return environmentProxy(to.URL())
}

// through connects to addr through a proxy.
func through(ctx context.Context, cfg *Config, via *url.URL, addr string) (net.Conn, error) {
	at, err := endpoint.Proxy(via)
	if err != nil {
		return nil, &HandshakeError{Reason: "the proxy's URL can't be used", Err: err}
	}
	conn, err := direct(ctx, cfg, at.Network, at.Address())
	if err == nil && at.Secure {
		conn, err = secureProxy(ctx, cfg, conn, at.Host)
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

// secureProxy secures the connection to an https proxy.
func secureProxy(ctx context.Context, cfg *Config, conn net.Conn, host string) (net.Conn, error) {
	config := cfg.ProxyTLS
	if config == nil {
		config = &stdtls.Config{MinVersion: stdtls.VersionTLS12, SessionTicketsDisabled: true} // it lives no longer than this
		if cfg.TLS != nil {
			config.RootCAs = cfg.TLS.RootCAs
		}
	}
	return secure(ctx, cfg.trace(), conn, host, config)
}

// tunnel asks an HTTP proxy for a connection to addr.
func tunnel(ctx context.Context, cfg *Config, conn net.Conn, via *url.URL, addr string) error {
	request := &handshake.TunnelRequest{Target: addr, User: via.User, MaxSize: cfg.Limits.WithDefaults().HandshakeSize}
	if cfg.ProxyHeader != nil {
		var err error
		if request.Header, err = cfg.ProxyHeader(ctx, via, addr); err != nil {
			return &HandshakeError{Reason: "there is no header for the proxy", Err: err}
		}
	}
	return handshake.Tunnel(ctx, conn, request)
}

// socks asks a SOCKS5 proxy for a connection to addr (RFC 1928), as a user if there is one (RFC
// 1929). It looks host names up itself.
func socks(ctx context.Context, conn net.Conn, via *url.URL, addr string) error {
	var auth *proxy.Auth
	if via.User != nil {
		password, _ := via.User.Password()
		auth = &proxy.Auth{User: via.User.Username(), Password: password}
	}
	dialer, err := proxy.SOCKS5("tcp", via.Host, auth, connected{conn})
	if err == nil {
		_, err = dialer.(proxy.ContextDialer).DialContext(ctx, "tcp", addr)
	}
	if err != nil {
		return &HandshakeError{Reason: "there is no way to the server", Err: inTime(ctx, err)}
	}
	return nil
}

// connected is how a SOCKS dialer gets a connection to its proxy that is there already. What
// it returns itself is not of use: it is wrapped, and has no descriptor to read from.
type connected struct{ conn net.Conn }

func (c connected) DialContext(context.Context, string, string) (net.Conn, error) {
	return c.conn, nil
}

// Dial is there because proxy.SOCKS5 demands it.
func (c connected) Dial(string, string) (net.Conn, error) { return c.conn, nil }

// atProxy says at which proxy it failed.
func atProxy(err error, via *url.URL) error {
	var failed *HandshakeError
	if errors.As(err, &failed) {
		failed.Proxy = via.Host
	}
	return err
}
