package h3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/seed004e8d11/websock/transport"
)

// DefaultTimeout is how long a Dialer waits for a server.
const DefaultTimeout = 3 * time.Second

// A Dialer connects to servers with HTTP/3, for the field HTTP3 of a websock.Mux. The zero value is ready
// to use. A Dialer is used by pointer, must not be copied, and may be shared by several Muxes; its fields
// must not be changed once it is used. All of its connections share a UDP socket, or have one for each
// source address; it is closed with the last of them.
type Dialer struct {
	// Required has a Dial fail if its server can't be reached with HTTP/3, or doesn't offer extended
	// CONNECT there. Otherwise the Mux uses HTTP/2 or HTTP/1.1.
	Required bool

	// Timeout is how long the server may take to complete the QUIC handshake and send its settings. When
	// it is over, UDP is taken to be blocked; unless Required is set, also when half of the time is over
	// that the Dial has. 0: DefaultTimeout.
	Timeout time.Duration

	// QUIC configures the connections. It is only read. Those of its fields that ConfigureServer names are
	// set if they are zero, with the Mux's StreamsPerConn and Window. nil: the defaults.
	QUIC *quic.Config

	mu      sync.Mutex
	sockets map[string]*socket // by source address
}

// A socket is a UDP socket that connections share. Dialer.mu guards uses.
type socket struct {
	udp       *net.UDPConn
	transport *quic.Transport
	uses      int
}

// DialStreams makes a Dialer a transport.StreamDialer.
func (d *Dialer) DialStreams(ctx context.Context, to transport.StreamTarget) (transport.StreamSession, error) {
	s, err := d.dial(ctx, to)
	switch {
	case err == nil:
		return s, nil
	case d.Required, ctx.Err() != nil:
		return nil, err
	case errors.As(err, new(*answerError)):
		return nil, fmt.Errorf("%w: %w", transport.ErrUnsupported, err)
	}
	return nil, fmt.Errorf("%w: %w", transport.ErrNotAsked, err)
}

// An answerError is an error of a server that was asked: what it has answered, or that it has not answered
// in time. Others say nothing about it.
type answerError struct{ error }

func (e *answerError) Unwrap() error { return e.error }

// isLocal reports whether a connection has ended because of this machine: most likely, its system has refused
// to send a packet.
func isLocal(err error) bool {
	var below *quic.TransportError
	return errors.As(err, new(*net.OpError)) || errors.As(err, &below) && !below.Remote && below.ErrorCode == quic.InternalError
}

var errNoTLS13 = errors.New("websock: HTTP/3 needs TLS 1.3, which the tls.Config forbids")

// ErrNoExtendedConnect is in the chain of the error of a Dial with Required whose server speaks HTTP/3
// without extended CONNECT (RFC 9220).
var ErrNoExtendedConnect = errors.New("websock: HTTP/3: the server does not offer extended CONNECT")

func (d *Dialer) dial(ctx context.Context, to transport.StreamTarget) (*session, error) {
	if v := to.TLS.MaxVersion; v != 0 && v < tls.VersionTLS13 {
		return nil, errNoTLS13
	}
	timeout := d.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	if to.Patience > 0 && !d.Required {
		timeout = min(timeout, to.Patience)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	addrs, err := lookup(ctx, to)
	if err != nil {
		return nil, err
	}
	var errs []error
	for i, addr := range addrs {
		s, err := d.dialAddr(ctx, to, addr, len(addrs)-i)
		if err == nil {
			return s, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// lookup returns the addresses of a host.
func lookup(ctx context.Context, to transport.StreamTarget) ([]netip.AddrPort, error) {
	if ip, err := netip.ParseAddr(to.Host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ip, uint16(to.Port))}, ctx.Err()
	}
	resolver := to.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	ips, err := resolver.LookupNetIP(ctx, "ip", to.Host)
	if err != nil {
		return nil, err
	}
	addrs := make([]netip.AddrPort, len(ips))
	for i, ip := range ips {
		addrs[i] = netip.AddrPortFrom(ip.Unmap(), uint16(to.Port))
	}
	return addrs, nil
}

// dialAddr connects to one of several addresses that remain.
func (d *Dialer) dialAddr(ctx context.Context, to transport.StreamTarget, addr netip.AddrPort, remain int) (*session, error) {
	if end, ok := ctx.Deadline(); ok && remain > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(remain))
		defer cancel()
	}
	key, sock, err := d.acquire(to.Source)
	if err != nil {
		return nil, err
	}
	config := withDefaults(d.QUIC, to.MaxStreams, windowOf(to))
	if config.MaxIncomingStreams == 0 {
		config.MaxIncomingStreams = -1 // a server opens none (RFC 9114 section 6.1)
	}
	if config.MaxIncomingUniStreams == 0 {
		config.MaxIncomingUniStreams = 2 * controlStreams // and some of unknown types
	}
	conn, err := sock.transport.Dial(ctx, net.UDPAddrFromAddrPort(addr), to.TLS, config)
	if err != nil {
		d.release(key, sock)
		if !isLocal(err) {
			err = &answerError{err}
		}
		return nil, fmt.Errorf("%s: %w", net.JoinHostPort(to.Host, strconv.Itoa(to.Port)), err)
	}
	context.AfterFunc(conn.Context(), func() { d.release(key, sock) })
	s, err := newSession(conn, to)
	if err != nil {
		conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeInternalError), "")
		return nil, &answerError{sessionError(err)}
	}
	switch extended, err := s.awaitSettings(ctx); {
	case err != nil:
		s.Close(err)
		return nil, &answerError{err}
	case !extended:
		s.Close(nil)
		return nil, &answerError{ErrNoExtendedConnect}
	}
	return s, nil
}

// windowOf returns the receive window of each stream.
func windowOf(to transport.StreamTarget) int {
	if to.Window == 0 {
		return DefaultWindow
	}
	return to.Window
}

// acquire returns a socket with this source address, for one connection more.
func (d *Dialer) acquire(source net.Addr) (key string, s *socket, err error) {
	local := &net.UDPAddr{}
	if source != nil {
		if key, _, err = net.SplitHostPort(source.String()); err != nil {
			return "", nil, err
		}
	}
	if key != "" {
		ip, err := netip.ParseAddr(key)
		if err != nil {
			return "", nil, err
		}
		local = net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s = d.sockets[key]
	if s == nil {
		udp, err := net.ListenUDP("udp", local)
		if err != nil {
			return "", nil, err
		}
		s = &socket{udp: udp, transport: &quic.Transport{Conn: udp}}
		if d.sockets == nil {
			d.sockets = map[string]*socket{}
		}
		d.sockets[key] = s
	}
	s.uses++
	return key, s, nil
}

// release gives a socket back that a connection had. The last one closes it.
func (d *Dialer) release(key string, s *socket) {
	d.mu.Lock()
	s.uses--
	isLast := s.uses == 0
	if isLast {
		delete(d.sockets, key)
	}
	d.mu.Unlock()
	if isLast {
		s.transport.Close()
		s.udp.Close()
	}
}
