package endpoint

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// An Endpoint is an address to connect to, with a request target.
type Endpoint struct {
	Network string // "tcp" or "unix"
	Secure  bool   // with TLS
	Host    string // as ASCIIHost returns it; of a Unix socket, "localhost"
	Port    int    // 1 to 65535; 0 with "unix"
	Socket  string // path of the Unix socket
	Target  string // request target: path and query, printable ASCII
}

// New returns the endpoint of a host name or IP address (IPv6 with or without brackets, with or
// without a zone), a port (0: the default) and a path with query ("": "/").
func New(host string, port int, path string, secure bool) (Endpoint, error) {
	e := Endpoint{Network: "tcp", Secure: secure}
	var err error
	if e.Host, err = ASCIIHost(host); err != nil {
		return Endpoint{}, err
	}
	if port < 0 || port > 65535 {
		return Endpoint{}, fmt.Errorf("port %d is not 1 to 65535", port)
	}
	e.Port = port
	if port == 0 {
		e.Port = defaultPort(secure)
	}
	e.Target, err = target(path)
	return e, err
}

// Parse returns the endpoint of a URL with the scheme ws or http, wss or https, ws+unix or
// wss+unix. It rejects a user name, and a fragment, even an empty one (RFC 6455 section 3).
func Parse(rawURL string) (Endpoint, error) {
	if strings.Contains(rawURL, "#") {
		return Endpoint{}, errFragment
	}
	if !strings.Contains(rawURL, ":/") { // url.Parse takes the host of h:80/path for a scheme
		return Endpoint{}, errNoScheme
	}
	u, err := url.Parse(escape(rawURL))
	if err != nil {
		return Endpoint{}, withoutURL(err)
	}
	return FromURL(u)
}

var (
	errNoScheme  = errors.New("it doesn't begin with ws:// or wss://")
	errFragment  = errors.New("fragment in the URL")
	errUser      = errors.New("user name in the URL: send credentials in a header")
	errNoHost    = errors.New("no host to connect to")
	errSocket    = errors.New("no socket path in the URL, as in ws+unix:///path.sock:/target")
	errTarget    = errors.New("the path doesn't begin with a slash")
	errRedirect  = errors.New("neither a ws or wss nor an http or https URL")
	errDowngrade = errors.New("from wss to ws")
)

// FromURL is Parse for a parsed URL.
func FromURL(u *url.URL) (Endpoint, error) {
	secure, unix := false, false
	switch u.Scheme {
	case "ws", "http":
	case "wss", "https":
		secure = true
	case "ws+unix":
		unix = true
	case "wss+unix":
		secure, unix = true, true
	default:
		return Endpoint{}, fmt.Errorf("URL scheme %q is none of ws, wss, http, https, ws+unix, wss+unix", u.Scheme)
	}
	switch {
	case u.User != nil:
		return Endpoint{}, errUser
	case u.Fragment != "":
		return Endpoint{}, errFragment
	case unix:
		return unixEndpoint(u, secure)
	}
	port, err := portOf(u)
	if err != nil {
		return Endpoint{}, err
	}
	return New(u.Hostname(), port, u.RequestURI(), secure)
}

func portOf(u *url.URL) (int, error) {
	text := u.Port()
	if text == "" {
		return 0, nil
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("port %s is not 1 to 65535", text)
	}
	return int(port), nil
}

// unixEndpoint returns the endpoint of the URL of a Unix socket. The socket's path ends at the first
// colon.
func unixEndpoint(u *url.URL, secure bool) (Endpoint, error) {
	socket, path, _ := strings.Cut(u.EscapedPath(), ":")
	socket, err := url.PathUnescape(socket)
	if err != nil || socket == "" || u.Host != "" {
		return Endpoint{}, errSocket
	}
	if path == "" {
		path = "/"
	}
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	e := Endpoint{Network: "unix", Secure: secure, Host: "localhost", Socket: socket}
	e.Target, err = target(path)
	return e, err
}

// Proxy returns the endpoint of a proxy, whose URL has the scheme http, https, socks5 or socks5h. It
// ignores user name, path and query.
func Proxy(u *url.URL) (Endpoint, error) {
	standard := proxyPorts[u.Scheme]
	if standard == 0 {
		return Endpoint{}, fmt.Errorf("proxy scheme %q is none of http, https, socks5, socks5h", u.Scheme)
	}
	port, err := portOf(u)
	if err != nil {
		return Endpoint{}, err
	}
	return New(u.Hostname(), cmp.Or(port, standard), "", u.Scheme == "https")
}

// proxyPorts are the default ports of proxies.
var proxyPorts = map[string]int{"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}

// Address returns the address to dial: host and port, or the path of a Unix socket.
func (e *Endpoint) Address() string {
	if e.Network == "unix" {
		return e.Socket
	}
	return net.JoinHostPort(e.Host, strconv.Itoa(e.Port))
}

// HostHeader returns the value of the Host header (RFC 6455 section 4.1): without the scheme's
// default port, and without an IPv6 zone, which means nothing to the peer (RFC 6874 section 4).
func (e *Endpoint) HostHeader() string {
	host, _, _ := strings.Cut(e.Host, "%")
	return e.hostPort(host)
}

// hostPort joins host, which may be an IPv6 address, and the port unless that is the default.
func (e *Endpoint) hostPort(host string) string {
	switch {
	case e.Port != 0 && e.Port != defaultPort(e.Secure):
		return net.JoinHostPort(host, strconv.Itoa(e.Port))
	case strings.Contains(host, ":"):
		return "[" + host + "]"
	}
	return host
}

// URL returns the endpoint as a ws or wss URL, with an IPv6 zone if there is one.
func (e *Endpoint) URL() *url.URL {
	u := &url.URL{Scheme: "ws", Host: e.hostPort(e.Host)}
	if e.Secure {
		u.Scheme = "wss"
	}
	if target, err := url.ParseRequestURI(e.Target); err == nil {
		u.Path, u.RawPath, u.RawQuery, u.ForceQuery = target.Path, target.RawPath, target.RawQuery, target.ForceQuery
	}
	return u
}

// Redirect returns the endpoint of a Location header, which may be relative to e. It rejects other
// schemes, a redirect from TLS to no TLS, and those from and to a Unix socket.
func (e *Endpoint) Redirect(location string) (Endpoint, error) {
	location, _, _ = strings.Cut(location, "#") // ignored (RFC 6455 section 3)
	if e.Network != "tcp" || location == "" {
		return Endpoint{}, errRedirect
	}
	u, err := e.URL().Parse(escape(location))
	if err != nil {
		return Endpoint{}, withoutURL(err)
	}
	next, err := FromURL(u)
	switch {
	case err != nil:
		return Endpoint{}, err
	case next.Network != "tcp":
		return Endpoint{}, errRedirect
	case e.Secure && !next.Secure:
		return Endpoint{}, errDowngrade
	}
	return next, nil
}

// SameOrigin reports whether scheme, host and port are equal (RFC 6454 section 5).
func (e *Endpoint) SameOrigin(other *Endpoint) bool {
	return e.Secure == other.Secure && e.Host == other.Host && e.Port == other.Port && e.Socket == other.Socket
}

// Secures reports whether e is without TLS and next is the same host with TLS.
func (e *Endpoint) Secures(next *Endpoint) bool {
	return !e.Secure && next.Secure && e.Host == next.Host
}

func defaultPort(secure bool) int {
	if secure {
		return 443
	}
	return 80
}
