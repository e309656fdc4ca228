package websocket

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seed004e8d11/websock"
)

// A Dialer opens connections as a client. It may be used by several goroutines at once.
type Dialer struct {
	// NetDialContext, or else NetDial, opens TCP connections. nil: a net.Dialer.
	NetDialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	NetDial        func(network, addr string) (net.Conn, error)

	// NetDialTLSContext opens connections for wss and performs the TLS handshake. Proxy and
	// TLSClientConfig are then not used for wss. nil: crypto/tls over what NetDialContext opens.
	NetDialTLSContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// Proxy returns the proxy for a request, or nil for none. nil: no proxy.
	Proxy func(*http.Request) (*url.URL, error)

	// TLSClientConfig is the TLS configuration for wss. nil: the default.
	TLSClientConfig *tls.Config

	// HandshakeTimeout bounds everything up to the end of the opening handshake. 0: 30 seconds.
	HandshakeTimeout time.Duration

	// These have no effect.
	ReadBufferSize, WriteBufferSize int

	// Subprotocols are offered to the server, in order of preference.
	Subprotocols []string

	// EnableCompression offers permessage-deflate without context takeover.
	EnableCompression bool

	// Jar has cookies for requests without a header Cookie, and gets those of responses. nil: neither.
	Jar http.CookieJar
}

// DefaultDialer uses the proxies of the environment and has a HandshakeTimeout of 45 seconds.
var DefaultDialer = &Dialer{
	Proxy:            http.ProxyFromEnvironment,
	HandshakeTimeout: 45 * time.Second,
}

// Dial is DialContext without a context.
func (d *Dialer) Dial(urlStr string, requestHeader http.Header) (*Conn, *http.Response, error) {
	return d.DialContext(context.Background(), urlStr, requestHeader)
}

// DialContext opens a connection. ctx bounds only that. requestHeader is sent; in it, Host is the
// Host header, and Sec-WebSocket-Protocol has the subprotocols if d has none. The response has the
// server's header. If the server has refused, the error is ErrBadHandshake, and the response has
// the status, the header and the start of the body. A nil Dialer is DefaultDialer.
func (d *Dialer) DialContext(ctx context.Context, urlStr string, requestHeader http.Header) (*Conn, *http.Response, error) {
	if d == nil {
		d = DefaultDialer
	}
	u, err := url.Parse(urlStr)
	switch {
	case err != nil:
		return nil, nil, err
	case u.Scheme != "ws" && u.Scheme != "wss" || u.User != nil:
		return nil, nil, fmt.Errorf("websocket: %q is not a ws or wss URL without a user", u.Redacted())
	}
	c := newConn()
	var response *http.Response
	c.ws, err = websock.Dial(ctx, urlStr, d.config(ctx, c, asHTTP(u), requestHeader))
	var refused *websock.HandshakeError
	switch {
	case err == nil:
		response = newResponse(http.StatusSwitchingProtocols, c.ws.HandshakeHeader(), nil)
	case errors.As(err, &refused) && refused.Status != 0 && refused.Proxy == "":
		response, err = newResponse(refused.Status, refused.Header, refused.Body), ErrBadHandshake
	default:
		return nil, nil, err
	}
	if cookies := response.Cookies(); d.Jar != nil && len(cookies) > 0 {
		d.Jar.SetCookies(asHTTP(u), cookies)
	}
	if err != nil {
		return nil, response, err
	}
	return c, response, nil
}

// config returns the configuration for a connection to u, which has the scheme http or https. ctx is
// that of the request that Proxy gets.
func (d *Dialer) config(ctx context.Context, c *Conn, u *url.URL, requestHeader http.Header) *websock.Config {
	cfg := &websock.Config{
		Header:       requestHeader.Clone(),
		HostHeader:   requestHeader.Get("Host"),
		Subprotocols: d.Subprotocols,
		Compression:  compression(d.EnableCompression),
		TLS:          d.TLSClientConfig,
		Timeout:      d.HandshakeTimeout,
		NetDial:      d.NetDialContext,
		DialTLS:      d.NetDialTLSContext,
		Proxy:        websock.NoProxy,
		Limits:       limits,
		KeepAlive:    c.keepAlive(),
	}
	if cfg.Header == nil {
		cfg.Header = http.Header{}
	}
	cfg.Header.Del("Host")
	if len(d.Subprotocols) == 0 {
		cfg.Subprotocols = listed(cfg.Header, "Sec-Websocket-Protocol")
		cfg.Header.Del("Sec-Websocket-Protocol")
	}
	if d.NetDial != nil && d.NetDialContext == nil {
		cfg.NetDial = func(_ context.Context, network, addr string) (net.Conn, error) { return d.NetDial(network, addr) }
	}
	if d.Proxy != nil {
		cfg.Proxy = func(*url.URL) (*url.URL, error) {
			r := http.Request{Method: http.MethodGet, URL: u, Header: requestHeader, Host: cmp.Or(cfg.HostHeader, u.Host)}
			return d.Proxy(r.WithContext(ctx))
		}
	}
	if d.Jar != nil && cfg.Header["Cookie"] == nil {
		request := http.Request{Header: cfg.Header}
		for _, cookie := range d.Jar.Cookies(u) {
			request.AddCookie(cookie)
		}
	}
	return cfg
}

// asHTTP returns the URL with the scheme that cookies and proxies know.
func asHTTP(u *url.URL) *url.URL {
	page := *u
	page.Scheme = strings.Replace(u.Scheme, "ws", "http", 1)
	return &page
}

func newResponse(status int, header http.Header, body []byte) *http.Response {
	return &http.Response{
		Status:     fmt.Sprintf("%d %s", status, http.StatusText(status)),
		StatusCode: status,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     header,
		Body:       io.NopCloser(bytes.NewReader(body)),
	}
}

// listed returns the elements of a header that is a list.
func listed(header http.Header, name string) (elements []string) {
	for _, line := range header.Values(name) {
		for element := range strings.SplitSeq(line, ",") {
			if element = strings.TrimSpace(element); element != "" {
				elements = append(elements, element)
			}
		}
	}
	return elements
}
