package websock

import (
	"net"
	"net/url"
	"unsafe"

	stdtls "crypto/tls"

	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/std"
)

// A muxKey is what the Dials that share connections have in common.
type muxKey struct {
	network, address string
	secure           bool
	authority        string // the Host header
	tls              *stdtls.Config

	proxy       string // its URL with user name and password
	proxyTLS    *stdtls.Config
	proxyHeader funcID

	source           string      // network and address of Dialer.LocalAddr
	dialer           *net.Dialer // if it has functions
	netDial, dialTLS funcID

	transport transport.Factory
}

// muxKey returns the key of connections on this route for requests with this Host header.
func (r *route) muxKey(authority string) (muxKey, error) {
	cfg := r.cfg
	k := muxKey{
		network:   r.to.Network,
		address:   r.to.Address(),
		secure:    r.to.Secure,
		authority: authority,
		netDial:   idOf(cfg.NetDial),
		transport: cfg.Transport,
	}
	if k.transport == nil {
		k.transport = std.Transport()
	}
	if !isComparable(k.transport) {
		return k, &HandshakeError{Reason: "the Transport can't be compared with others, as a Mux must"}
	}
	if r.to.Secure {
		k.tls, k.dialTLS = cfg.TLS, idOf(cfg.DialTLS)
	}
	if r.proxy != nil {
		k.proxy = r.proxy.url.String()
		k.proxyTLS, k.proxyHeader = cfg.ProxyTLS, idOf(cfg.ProxyHeader)
	}
	if d := cfg.Dialer; d != nil {
		if d.LocalAddr != nil {
			k.source = d.LocalAddr.Network() + " " + d.LocalAddr.String()
		}
		if d.Control != nil || d.ControlContext != nil || d.Resolver != nil {
			k.dialer = d
		}
	}
	return k, nil
}

// isComparable reports whether f can be compared with others.
func isComparable(f transport.Factory) (ok bool) {
	defer func() { ok = recover() == nil }()
	same := f
	return f == same // panics if it can't
}

// stats returns the names of the host.
func (k *muxKey) stats() *MuxHostStats {
	u := url.URL{Scheme: "ws", Host: k.address}
	if k.secure {
		u.Scheme = "wss"
	}
	if k.network == "unix" {
		u.Scheme += "+unix"
		u.Host, u.Path = "", k.address
	}
	s := &MuxHostStats{URL: u.String(), Source: k.source}
	if via, err := url.Parse(k.proxy); err == nil {
		s.Proxy = via.Host
	}
	return s
}

// A funcID identifies a function value: two are equal only if the functions do the same with the same
// variables. It keeps these in memory, so that no other function gets the same funcID.
type funcID unsafe.Pointer

// idOf returns the funcID of f, which is a function. A function value is a pointer to its code and
// the variables that it has captured.
func idOf[F any](f F) funcID { return *(*funcID)(unsafe.Pointer(&f)) }
