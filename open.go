package websock

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/handshake"
	"github.com/seed004e8d11/websock/transport/std"
)

// Open connects to a server as cfg says and performs the opening handshake (RFC
// 6455 section 4.1). ctx bounds that work, not the connection.
//
// Every error is a *HandshakeError, with the HTTP answer if there was one;
// errors.Is and errors.As find the cause: context.DeadlineExceeded, a
// *net.OpError, a *tls.CertificateVerificationError.
func Open(ctx context.Context, cfg Config) (*engine.Conn, error) {
	to := endpoint{network: "tcp", secure: cfg.Secure, host: cfg.Host, port: cfg.Port, target: cfg.Path}
	if cfg.Host == "" {
		return nil, &HandshakeError{Reason: "no host to connect to"}
	}
	return open(ctx, &cfg, to)
}

func open(ctx context.Context, cfg *Config, to endpoint) (*engine.Conn, error) {
	ctx, cancel := withTimeout(ctx, cfg.Timeout)
	defer cancel()
	header := cfg.Header
	for redirects := 0; ; redirects++ {
		conn, err := connect(ctx, cfg, to, header)
		if err == nil || redirects >= cfg.MaxRedirects {
			return conn, err
		}
		next, err := redirected(to, err)
		if err != nil {
			return nil, err
		}
		if !handshake.SameOrigin(to.url(), next.url()) {
			header = handshake.StripCredentials(header)
		}
		to = next
	}
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

// connect makes one attempt to open a connection.
func connect(ctx context.Context, cfg *Config, to endpoint, header http.Header) (*engine.Conn, error) {
	limits := cfg.Limits.WithDefaults()
	request := &handshake.Request{
		Host:         to.hostHeader(),
		Target:       to.target,
		Header:       header,
		Subprotocols: cfg.Subprotocols,
		Compression:  cfg.Compression,
		MaxSize:      limits.HandshakeSize,
	}
	if err := request.Check(); err != nil {
		return nil, err
	}
	conn, err := dial(ctx, cfg, to)
	if err != nil {
		return nil, err
	}
	trace := cfg.trace()
	trace.handshakeStart(request.Host)
	result, err := handshake.Client(ctx, trace.watch(conn), request)
	trace.handshakeDone(request.Host, err)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return attach(conn, result, way{cfg.Transport, cfg.Handler, cfg.KeepAlive}, engine.Options{
		Role:   engine.Client,
		Limits: cfg.Limits,
	})
}

// dial connects to the endpoint and secures the connection if it is to be.
func dial(ctx context.Context, cfg *Config, to endpoint) (net.Conn, error) {
	conn, err := reach(ctx, cfg, to)
	if err != nil || !to.secure {
		return conn, err
	}
	return secure(ctx, cfg.trace(), conn, to.host, cfg.TLS)
}

// A way is how an open connection is carried and served.
type way struct {
	transport Transport
	handler   engine.Handler
	keepAlive KeepAlive
}

// attach makes a Conn of a connection on which the opening handshake is done.
func attach(conn net.Conn, result *handshake.Result, w way, o engine.Options) (*engine.Conn, error) {
	if w.transport == nil {
		w.transport = std.Transport()
	}
	carrier, err := w.transport.Attach(conn, result.Early)
	if err != nil {
		conn.Close()
		return nil, &HandshakeError{Reason: "transport refuses the connection", Err: err}
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
	w.keepAlive.watch(c)
	return c, nil
}

// An endpoint is where a connection goes.
type endpoint struct {
	network string // "tcp" or "unix"
	secure  bool
	host    string // name or address; of a Unix socket, the name for TLS and the Host header
	port    int    // 0: that of the scheme
	socket  string // path of a Unix socket
	target  string // request target
}

func (e *endpoint) address() string {
	if e.network == "unix" {
		return e.socket
	}
	host := strings.TrimSuffix(strings.TrimPrefix(e.host, "["), "]")
	return net.JoinHostPort(host, strconv.Itoa(e.portOrDefault()))
}

func (e *endpoint) portOrDefault() int {
	switch {
	case e.port != 0:
		return e.port
	case e.secure:
		return 443
	}
	return 80
}

func (e *endpoint) hostHeader() string {
	return handshake.HostHeader(e.host, e.port, e.secure)
}

func (e *endpoint) url() *url.URL {
	u := &url.URL{Scheme: "ws", Host: e.hostHeader()}
	if e.secure {
		u.Scheme = "wss"
	}
	if target, err := url.ParseRequestURI(e.target); err == nil {
		u.Path, u.RawPath, u.RawQuery = target.Path, target.RawPath, target.RawQuery
	}
	return u
}

// redirected returns where a failed attempt is to be repeated, or its error if that
// is no redirect that can be followed.
func redirected(from endpoint, err error) (endpoint, error) {
	var failed *HandshakeError
	if from.network != "tcp" || !errors.As(err, &failed) {
		return endpoint{}, err
	}
	u, unfit := handshake.RedirectTarget(from.url(), failed)
	switch {
	case unfit != nil:
		return endpoint{}, unfit
	case u == nil:
		return endpoint{}, err
	}
	return endpointOf(u)
}
