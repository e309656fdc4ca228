package websock

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"github.com/seed004e8d11/websock/engine"
)

// Dial is Open for a URL (RFC 6455 section 3):
//
//	ws://host:port/path?query
//	wss://host:port/path?query
//	ws+unix:///path/to.sock:/path?query   (wss+unix with TLS)
//
// cfg, which may be nil, gives the rest; its Host, Port, Path and Secure are not
// used. A user name in the URL is refused: credentials belong in Config.Header. So
// is a fragment, as the RFC says. The error is a *HandshakeError.
func Dial(ctx context.Context, rawURL string, cfg *Config) (*engine.Conn, error) {
	if cfg == nil {
		cfg = &Config{}
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, &HandshakeError{Reason: "URL can't be parsed", Err: err}
	}
	to, err := endpointOf(u)
	if err != nil {
		return nil, err
	}
	return open(ctx, cfg, to)
}

// endpointOf takes a URL apart.
func endpointOf(u *url.URL) (endpoint, error) {
	var e endpoint
	switch u.Scheme {
	case "ws", "ws+unix":
	case "wss", "wss+unix":
		e.secure = true
	default:
		return e, &HandshakeError{Reason: "URL scheme " + strconv.Quote(u.Scheme) + " is none of ws, wss, ws+unix, wss+unix"}
	}
	switch {
	case u.User != nil:
		return e, &HandshakeError{Reason: "user name in the URL: send credentials in a header"}
	case u.Fragment != "" || strings.HasSuffix(u.String(), "#"):
		return e, &HandshakeError{Reason: "fragment in the URL"}
	}
	if strings.HasSuffix(u.Scheme, "+unix") {
		return unixEndpoint(e, u)
	}
	return tcpEndpoint(e, u)
}

func tcpEndpoint(e endpoint, u *url.URL) (endpoint, error) {
	e.network = "tcp"
	e.host = u.Hostname()
	e.target = u.RequestURI()
	if e.host == "" {
		return e, &HandshakeError{Reason: "no host in the URL"}
	}
	if port := u.Port(); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return e, &HandshakeError{Reason: "port " + port + " in the URL is not 1 to 65535"}
		}
		e.port = int(n)
	}
	return e, nil
}

// unixEndpoint takes the URL of a Unix socket apart: the socket's path ends at the
// first colon.
func unixEndpoint(e endpoint, u *url.URL) (endpoint, error) {
	e.network = "unix"
	e.host = "localhost"
	socket, target, _ := strings.Cut(u.EscapedPath(), ":")
	path, err := url.PathUnescape(socket)
	if err != nil || path == "" || u.Host != "" {
		return e, &HandshakeError{Reason: "no socket path in the URL, as in ws+unix:///path.sock:/target", Err: err}
	}
	e.socket = path
	e.target = (&url.URL{Path: "/", RawQuery: u.RawQuery}).RequestURI()
	if target != "" {
		e.target = target
		if u.RawQuery != "" {
			e.target += "?" + u.RawQuery
		}
	}
	return e, nil
}
