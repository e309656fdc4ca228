package websock

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/seed004e8d11/websock/transport"
)

// DefaultTimeout is the time that Open allows, when Config.Timeout is zero, for connecting and the
// opening handshake together.
const DefaultTimeout = 30 * time.Second

// A Config says where to connect and how. Its zero value with a Host is ready to use. Open and Dial
// only read it, so one Config can be used by many goroutines at once.
type Config struct {
	Host string // host name or IP address (IPv6 with or without brackets)
	Port int    // 0: 80, or 443 when Secure
	Path string // path and query, percent-encoded where necessary; "" means "/"

	// HostHeader is the Host header, for a server that has several names. "": Host and Port.
	// The connection goes to Host and Port, or to those of the URL, and their certificate is
	// verified, unless TLS has another ServerName. After a redirect to another origin, HostHeader
	// isn't used any more; after one from ws to wss on the same host it is.
	HostHeader string

	Secure bool // wss: TLS

	// TLS is the TLS configuration for wss. It is not changed, and must not be changed once it
	// is used. NextProtos is ignored: the client asks for http/1.1, and with a Mux for h2, too. If
	// ServerName is "", it is Host. nil: the system's roots, TLS 1.2 or later.
	//
	// Connections to one host with the same tls.Config resume its TLS sessions, unless it has a
	// ClientSessionCache, SessionTicketsDisabled, VerifyPeerCertificate or
	// GetClientCertificate: see package transport/tls.
	TLS *tls.Config

	// Proxy returns the proxy for a URL of scheme ws or wss, or nil to connect directly. The URL
	// of the proxy has the scheme http or https, for CONNECT with Basic credentials if it has a
	// user name, or socks5 or socks5h, with user name and password if it has them. The proxy
	// looks up the host name. nil: the proxy comes from the environment variables HTTP_PROXY,
	// HTTPS_PROXY and NO_PROXY, and ALL_PROXY in place of the first or second if that is not set;
	// NoProxy ignores them. An error at a proxy is a *HandshakeError that names the proxy.
	Proxy func(*url.URL) (*url.URL, error)

	// ProxyHeader returns additional headers for the CONNECT request to an http or https proxy.
	// target is "host:port". If they have a Proxy-Authorization, the user of the proxy's URL is
	// not sent. nil: none.
	ProxyHeader func(ctx context.Context, proxy *url.URL, target string) (http.Header, error)

	// ProxyTLS is the TLS configuration for the connection to an https proxy. The rules of TLS
	// apply. nil: the roots of TLS, and none of its other fields.
	ProxyTLS *tls.Config

	// Timeout bounds connecting, the proxy, TLS and the opening handshake together. 0:
	// DefaultTimeout. Negative: only the context bounds them.
	Timeout time.Duration

	// Header is sent with the opening handshake. Host, Upgrade, Connection and Sec-WebSocket-*
	// are set by Open; it is an error if Header has one of them.
	Header http.Header

	// Subprotocols are offered to the server, in order of preference (RFC 6455 section 1.9).
	// Conn.Subprotocol returns the one agreed on.
	Subprotocols []string

	// Compression is offered to the server: permessage-deflate (RFC 7692). Zero: none.
	// Conn.Compression returns what was agreed on.
	Compression Compression

	// MaxRedirects is how many responses with status 301, 302, 303, 307 or 308 are followed. 0:
	// none. Redirects of a proxy, and from wss to ws, are never followed. After a redirect to
	// another origin (scheme, host or port) only the headers in RedirectHeader are sent; after
	// one from ws to wss on the same host, all. A redirect that is not followed is a
	// *HandshakeError.
	MaxRedirects int

	// RedirectHeader names the headers of Header that are sent to another origin after a
	// redirect. Authorization, Cookie and other credentials are never sent there.
	RedirectHeader []string

	Limits Limits // zero fields: the defaults

	// KeepAlive says when to send pings on an idle connection, and when to close it.
	KeepAlive KeepAlive

	// Mux carries the WebSocket over a connection of HTTP/2 that it shares with others (RFC 8441), or
	// of HTTP/3 (RFC 9220) if Mux.HTTP3 is set, if the server can. nil: over a connection of its own, with HTTP/1.1.
	Mux *Mux

	// Transport carries the connection; with a Mux, the one that is shared. nil: std.Transport(),
	// which needs a goroutine for each connection that receives. Factory.Attach gets the connection
	// after the opening handshake. A transport.Dialer, such as epoll.Transport(), may also connect.
	Transport transport.Factory

	// Handler receives data by callback, from the first byte. It may be called before Dial or
	// Open returns, and is not called if they fail. After OnClose the connection holds no
	// resources: Close need not be called. nil: call Recv.
	Handler Handler

	// Recover is called if the Handler panics, with the value given to panic. The connection then
	// ends with a *HandlerError in OnClose, and the process continues: see Options. nil:
	// a panic ends the process.
	Recover func(c *Conn, v any)

	// Dialer connects to the server or to the proxy. It is only read. LocalAddr is the source
	// address, Resolver looks up names, FallbackDelay is that of Happy Eyeballs (RFC 6555). One
	// source address has ports for about 28,000 connections to one endpoint; more connections
	// need more source addresses. On Linux, if LocalAddr has port 0, connections to different
	// endpoints share ports (IP_BIND_ADDRESS_NO_PORT). nil: the zero net.Dialer.
	Dialer *net.Dialer

	// NetDial connects in place of Dialer. network is "tcp", or "unix" for ws+unix. It is called
	// on another goroutine than Open's: if it ignores the end of its context, Open returns
	// nevertheless, and the connection that NetDial returns later is closed. A connection without
	// deadlines, such as a channel of an SSH connection, can be used; it needs two goroutines.
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error)

	// DialTLS connects for wss and performs the TLS handshake: for TLS implementations other
	// than crypto/tls. network and addr are those of NetDial. NetDial, TLS, Dialer and Proxy are
	// then not used; what NetDial says about contexts and deadlines applies. DialTLS must verify
	// the peer for the host of addr, and ask for http/1.1 if it uses ALPN; with a Mux it may ask
	// for h2, too, and the method ConnectionState tells what was agreed on. If it returns a
	// *tls.Conn before its handshake, Open performs the handshake. Conn.TLS returns the state of
	// the connection's method ConnectionState, if that is the method of a *tls.Conn. DialTLS is
	// not used without TLS and for an https proxy. nil: crypto/tls.
	DialTLS func(ctx context.Context, network, addr string) (net.Conn, error)

	// Trace has functions that are called at each step of connecting. nil: none.
	Trace *Trace
}
