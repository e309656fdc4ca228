package websock

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/internal/endpoint"
	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/internal/keepalive"
	"github.com/seed004e8d11/websock/transport"
)

// Open connects to the server in cfg and performs the opening handshake (RFC 6455 section 4.1).
// ctx bounds both, but not the connection that Open returns.
//
// Every error is a *HandshakeError, with the HTTP response if there was one. errors.Is and
// errors.As find the cause, such as context.DeadlineExceeded, a *net.OpError or a
// *tls.CertificateVerificationError.
func Open(ctx context.Context, cfg Config) (*Conn, error) {
	to, err := cfg.endpoint()
	if err != nil {
		return nil, err
	}
	return open(ctx, &cfg, to)
}

// Dial is Open for a URL (RFC 6455 section 3):
//
//	ws://host:port/path?query
//	wss://host:port/path?query
//	ws+unix:///path/to.sock:/path?query   (wss+unix with TLS)
//
// http and https mean ws and wss. An international host name is looked up, verified and sent in
// Punycode; spaces and characters outside ASCII in path and query are percent-encoded. A URL with
// a user name is rejected: send credentials in Config.Header. So is a URL with a fragment, even an
// empty one, as the RFC demands.
//
// Dial uses all fields of cfg except Host, Port, Path and Secure. cfg may be nil. The error is a
// *HandshakeError.
func Dial(ctx context.Context, rawURL string, cfg *Config) (*Conn, error) {
	if cfg == nil {
		cfg = &Config{}
	}
	to, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	return open(ctx, cfg, to)
}

// Check returns the error with which Dial would fail before it connects to anything, or nil: a
// *HandshakeError for a URL, a header, a subprotocol, a compression, a KeepAlive or a proxy that
// can't be used. With an empty rawURL it does so for Open. It calls Config.Proxy, but no other
// function of cfg, and opens no file or connection. It doesn't change cfg.
func (cfg *Config) Check(rawURL string) error {
	to, err := cfg.endpoint()
	if rawURL != "" {
		to, err = parseURL(rawURL)
	}
	if err != nil {
		return err
	}
	a := attempt{to: to, header: cfg.Header}
	if err := a.check(cfg); err != nil {
		return withHost(err, &to)
	}
	return nil
}

// endpoint returns the endpoint that Open connects to.
func (cfg *Config) endpoint() (endpoint.Endpoint, error) {
	to, err := endpoint.New(cfg.Host, cfg.Port, cfg.Path, cfg.Secure)
	if err != nil {
		return to, &HandshakeError{Reason: "Host, Port and Path can't be used", Err: err}
	}
	return to, nil
}

// A parsedURL is a URL with the endpoint that it stands for.
type parsedURL struct {
	text string
	to   endpoint.Endpoint
}

// recentURLs has URLs that were parsed last, as programs that open many connections often open them to one
// URL. It is a Pool because a URL may have a secret in its query: the garbage collector drops it.
var recentURLs sync.Pool // of *parsedURL, which don't change

// parseURL returns the endpoint that Dial connects to.
func parseURL(rawURL string) (endpoint.Endpoint, error) {
	recent, _ := recentURLs.Get().(*parsedURL)
	if recent == nil || recent.text != rawURL {
		to, err := endpoint.Parse(rawURL)
		if err != nil {
			return to, &HandshakeError{Reason: "the URL can't be used", Err: err}
		}
		recent = &parsedURL{rawURL, to}
	}
	recentURLs.Put(recent)
	return recent.to, nil
}

// open connects to an endpoint, or to the one that it redirects to.
func open(ctx context.Context, cfg *Config, to endpoint.Endpoint) (*Conn, error) {
	a := attempt{to: to, header: cfg.Header}
	c, err := a.open(ctx, cfg)
	if err != nil {
		return nil, withHost(err, &a.to)
	}
	return c, nil
}

// withHost adds to an error the endpoint that it is about.
func withHost(err error, to *endpoint.Endpoint) error {
	var failed *HandshakeError
	if errors.As(err, &failed) {
		failed.Host = to.Address()
	}
	return err
}

// An attempt is the endpoint to connect to next, and what may be sent there.
type attempt struct {
	to          endpoint.Endpoint
	header      http.Header
	otherOrigin bool // a redirect has led to another origin than the caller's
}

// check returns why the attempt can't be made at all, or nil.
func (a *attempt) check(cfg *Config) error {
	if _, err := cfg.KeepAlive.policy(); err != nil {
		return err
	}
	r, err := a.route(cfg)
	if err != nil {
		return err
	}
	o := &opening{route: r, request: a.request(cfg)}
	return o.check()
}

// route returns the way to the endpoint.
func (a *attempt) route(cfg *Config) (*route, error) {
	r := &route{cfg: cfg, to: a.to}
	if a.to.Secure && cfg.DialTLS != nil { // which uses no proxy
		return r, nil
	}
	var err error
	r.proxy, err = proxyFor(cfg, &a.to)
	return r, err
}

// open makes attempts until one doesn't end in a redirect that may be followed.
func (a *attempt) open(ctx context.Context, cfg *Config) (*Conn, error) {
	ctx, cancel := withTimeout(ctx, cfg.Timeout)
	defer cancel()
	policy, err := cfg.KeepAlive.policy()
	if err != nil {
		return nil, err
	}
	for redirects := 0; ; redirects++ {
		c, err := a.connect(ctx, cfg, policy)
		if err == nil || redirects >= cfg.MaxRedirects {
			return c, err
		}
		if err := a.redirect(err, cfg.RedirectHeader); err != nil {
			return nil, err
		}
	}
}

// connect connects to the endpoint and performs the opening handshake.
func (a *attempt) connect(ctx context.Context, cfg *Config, policy *keepalive.Policy) (*Conn, error) {
	r, err := a.route(cfg)
	if err != nil {
		return nil, err
	}
	o := &opening{route: r, request: a.request(cfg), policy: policy}
	switch err := o.check(); {
	case err != nil:
		return nil, err
	case o.usesMux():
		return cfg.Mux.open(ctx, o)
	}
	return o.dialHTTP1(ctx)
}

// An opening is a WebSocket to be opened.
type opening struct {
	route   *route
	request *handshake.Request
	policy  *keepalive.Policy

	// Of a stream of Config.Mux: which connections it can use, and its request.
	key    muxKey
	fields []hpack.HeaderField
}

// usesMux reports whether the WebSocket becomes a stream of Config.Mux, if the server speaks HTTP/2.
func (o *opening) usesMux() bool {
	mux := o.route.cfg.Mux
	return mux != nil && (o.route.to.Secure || mux.Cleartext)
}

// check returns why the WebSocket can't be opened at all, or nil. If it is to be a stream, it also
// prepares that.
func (o *opening) check() error {
	if mux := o.route.cfg.Mux; mux != nil {
		if err := mux.check(); err != nil {
			return err
		}
	}
	if !o.usesMux() {
		return o.request.Check()
	}
	var err error
	if o.key, err = o.route.muxKey(o.request.Host); err != nil {
		return err
	}
	o.fields, err = o.request.Fields(o.route.to.Secure)
	return err
}

// dialHTTP1 opens the WebSocket over a connection of its own, with HTTP/1.1.
func (o *opening) dialHTTP1(ctx context.Context) (*Conn, error) {
	conn, reserved, err := o.route.dialReserved(ctx, protocolHTTP1)
	if err != nil {
		return nil, err
	}
	return (&http1Conn{conn, reserved}).open(ctx, o)
}

// An http1Conn is a connection for an opening handshake with HTTP/1.1, and what was reserved for it.
type http1Conn struct {
	conn     net.Conn
	reserved transport.Reservation
}

// open opens a WebSocket over the connection. It leaves nothing open after an error, nor if a function of
// the Config panics or calls runtime.Goexit.
func (c *http1Conn) open(ctx context.Context, o *opening) (opened *Conn, err error) {
	returned := false
	defer func() {
		if !returned { // else what has returned an error has closed the connection, which is done once
			c.conn.Close()
		}
		c.reserved.Release()
	}()
	cfg := o.route.cfg
	result, err := performHandshake(ctx, cfg.trace(), c.conn, o.request)
	if err == nil {
		opened, err = attach(c.conn, result, Client, attachOptions{c.reserved, cfg.Handler, o.policy}, cfg.options())
	}
	returned = true
	return opened, err
}

// close closes a connection that nobody wants.
func (c *http1Conn) close() {
	c.conn.Close()
	c.reserved.Release()
}

// options returns the Options of the Conn.
func (cfg *Config) options() Options {
	return Options{Limits: cfg.Limits, Recover: cfg.Recover, OnPing: cfg.KeepAlive.OnPing, OnPong: cfg.KeepAlive.OnPong}
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

// request returns the opening handshake to send.
func (a *attempt) request(cfg *Config) *handshake.Request {
	host := a.to.HostHeader()
	if cfg.HostHeader != "" && !a.otherOrigin {
		host = cfg.HostHeader
	}
	return &handshake.Request{
		Host:         host,
		Target:       a.to.Target,
		Header:       a.header,
		Subprotocols: cfg.Subprotocols,
		Compression:  cfg.Compression,
		MaxSize:      cfg.Limits.WithDefaults().HandshakeSize,
	}
}

// performHandshake performs the opening handshake over conn. On an error it closes conn.
func performHandshake(ctx context.Context, trace *Trace, conn net.Conn, request *handshake.Request) (*handshake.Result, error) {
	trace.handshakeStart(request.Host)
	result, err := handshake.Client(ctx, trace.conn(conn), request)
	trace.handshakeDone(request.Host, err)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return result, nil
}

// redirect changes a to the endpoint that failure, the error of a handshake, redirects to. It
// returns an error, which is failure itself if that isn't a redirect of the server: one of a proxy
// is never followed. Only the allowed headers are sent to another origin.
func (a *attempt) redirect(failure error, allowed []string) error {
	var refusal *HandshakeError
	if !errors.As(failure, &refusal) || refusal.Proxy != "" || a.to.Network != "tcp" {
		return failure
	}
	next, err := handshake.RedirectTarget(&a.to, refusal)
	switch {
	case err != nil:
		return err
	case next == nil:
		return failure
	}
	if !a.to.SameOrigin(next) && !a.to.Secures(next) {
		a.otherOrigin = true
		a.header = onlyHeaders(handshake.StripCredentials(a.header), allowed)
	}
	a.to = *next
	return nil
}

// onlyHeaders returns the headers of h with these names.
func onlyHeaders(h http.Header, names []string) http.Header {
	kept := http.Header{}
	for name, values := range h {
		if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			kept[name] = values
		}
	}
	return kept
}
