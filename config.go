package websock

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport"
)

// DefaultTimeout is the time that Open allows for everything up to the end of the
// opening handshake, when Config.Timeout is zero.
const DefaultTimeout = 30 * time.Second

// A Config says where to connect and how. Its zero value, with a Host, is ready to
// use. Open and Dial only read it: one Config can serve many calls at once.
type Config struct {
	Host string // host name or IP address (v4; v6 with or without brackets)
	Port int    // 0: 80, or 443 when Secure
	Path string // request target with query, percent-encoded where it has to be; "" means "/"

	// HostHeader is sent as the Host header, for a server that has several names. Host and
	// Port, or the URL's, still say where to connect and, unless TLS says otherwise, whose
	// certificate is asked for. "": Host and Port. A redirect to another origin drops it, but
	// not one from ws to wss on the same host.
	HostHeader string

	Secure bool // wss: TLS

	// TLS is for wss. It is never written to, and not to be changed once used. Its NextProtos
	// doesn't count: http/1.1 is what is asked for. A ServerName of "" stands for Host. nil:
	// the system's roots, TLS 1.2 or later.
	//
	// Connections to one host with the same tls.Config resume its TLS sessions, if it has no
	// ClientSessionCache, SessionTicketsDisabled, VerifyPeerCertificate or
	// GetClientCertificate: see package transport/tls.
	TLS *tls.Config

	// Proxy says which proxy to connect through: nil for none. It gets the URL that is
	// to be reached, ws or wss, and returns that of an http or https proxy (CONNECT,
	// with Basic credentials if it has a user) or of a socks5 or socks5h proxy (with user
	// and password if it has them). Either looks the host name up itself. A nil Proxy
	// takes HTTP_PROXY, HTTPS_PROXY, ALL_PROXY (for whichever of the two is not set) and
	// NO_PROXY from the environment; NoProxy ignores them. What fails at a proxy is a *HandshakeError that names it.
	Proxy func(*url.URL) (*url.URL, error)

	// ProxyHeader returns what is sent beside Host to an http or https proxy, when it is
	// asked for target, as "host:port". It may set Proxy-Authorization, in place of the
	// user in proxy. nil: nothing.
	ProxyHeader func(ctx context.Context, proxy *url.URL, target string) (http.Header, error)

	// ProxyTLS is for the connection to an https proxy: client certificates, roots and all
	// that a tls.Config has, under the rules of TLS. nil: the roots of TLS, and nothing else
	// of it.
	ProxyTLS *tls.Config

	// Timeout bounds connecting, the proxy, TLS and the opening handshake together. 0 means
	// DefaultTimeout, a negative value that only the context bounds them.
	Timeout time.Duration

	// Header is sent with the opening handshake. Host, Upgrade, Connection and
	// Sec-WebSocket-* are set implicitly; one of them in Header is an error.
	Header http.Header

	// Subprotocols offered, in order of preference (RFC 6455 section 1.9).
	Subprotocols []string

	// Compression is what is offered to the server: permessage-deflate (RFC 7692). Zero:
	// nothing. What was agreed is told by Conn.Compression.
	Compression engine.Compression

	// MaxRedirects is how many answers of status 301, 302, 303, 307 or 308 are
	// followed: those of the server, never those of a proxy, and never from wss to ws. Header
	// goes to another origin (scheme, host or port) only as far as RedirectHeader allows; from
	// ws to wss on the same host it goes whole. 0: none; such an answer is a *HandshakeError,
	// as is one that can't be followed.
	MaxRedirects int

	// RedirectHeader names the fields of Header that may be sent to another origin after a
	// redirect. Authorization, Cookie and other credentials never are.
	RedirectHeader []string

	Limits engine.Limits // zero fields: the defaults

	// KeepAlive says when pings are sent on a silent connection, and when it is given up.
	KeepAlive KeepAlive

	// Transport carries the connection. nil: a goroutine-per-connection transport
	// over net.Conn, std.Transport().
	Transport transport.Factory

	// Handler receives the data by callback from the first byte on; it may be called
	// before Dial or Open has returned, and is never called if they fail. After OnClose
	// nothing is left of the connection: Close need not be called then. nil: the data is
	// pulled with Recv.
	Handler engine.Handler

	// Recover is told of a panic of the Handler, with what was given to panic. The connection
	// then ends, with an *engine.HandlerError in OnClose, and the process goes on: see
	// engine.Options. nil: a panic ends the process.
	Recover func(c *Conn, v any)

	// Dialer connects, to the proxy if there is one. It is only read, and says what a
	// net.Dialer can: LocalAddr is the source address, Resolver looks names up,
	// FallbackDelay is that of Happy Eyeballs (RFC 6555). One source address has ports
	// for some 28,000 connections to one endpoint, so more take several of them; with
	// port 0 in LocalAddr they are shared between endpoints on Linux
	// (IP_BIND_ADDRESS_NO_PORT). nil: the zero net.Dialer.
	Dialer *net.Dialer

	// NetDial connects in place of Dialer. network is "tcp", or "unix" for ws+unix. It is
	// called from another goroutine than Open's: if it ignores the end of its context it is
	// left alone, and what it returns then is closed. A connection on which no deadline can be
	// set, such as a channel of an SSH connection, serves as well as any other, and takes two
	// goroutines.
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error)

	// DialTLS connects for wss and secures the connection: for TLS that is not crypto/tls's,
	// or keys that are elsewhere. network and addr are those of NetDial, which isn't used
	// then, nor are TLS, Dialer and Proxy; what NetDial says of contexts and deadlines holds
	// here too. It verifies the peer, for the host of addr, and asks for http/1.1 if it uses
	// ALPN. If it returns a *tls.Conn whose handshake isn't done, that is done first.
	// Conn.TLS tells what the connection's method ConnectionState does, if it is that of a
	// *tls.Conn. Without TLS, and to an https proxy, it isn't used. nil: crypto/tls.
	DialTLS func(ctx context.Context, network, addr string) (net.Conn, error)

	// Trace is told of the steps of connecting. nil: nobody is.
	Trace *Trace
}
