package websock

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/h2"
)

// The defaults of a Mux.
const (
	DefaultStreamsPerConn = 100
	DefaultIdleTimeout    = 90 * time.Second
)

// A Mux opens WebSockets as streams of HTTP/2 connections that many of them share (RFC 8441), or of QUIC
// connections if HTTP3 is set (RFC 9220): with
// Config.Mux, Open and Dial use a connection that the Mux has, and dial another one only if no
// stream is free. A stream takes a small part of the memory of a connection, and no TLS handshake;
// what is sent on several streams at the same time is written at once.
//
// The zero value is ready to use. A Mux is used by pointer, must not be copied, and may be shared
// by any number of Configs and goroutines; its fields must not be changed once it is used.
//
// # Which Dials share a connection
//
// Those with the same scheme, address and Host header; the same proxy, with the same user,
// ProxyHeader and ProxyTLS; the same *tls.Config in TLS; the same source address in
// Dialer.LocalAddr, and the same Dialer if it has Control, ControlContext or Resolver; the same
// NetDial and DialTLS; and the same Transport, which must be comparable. Pointers and functions are
// the same only if they are one and the same: a function literal that is evaluated for each Config
// shares nothing.
//
// # Which servers
//
// For wss the client offers h2 and http/1.1 with ALPN. If the server chooses http/1.1, or knows no
// ALPN, the connection becomes an ordinary WebSocket of the Dial that dialed it. If it speaks HTTP/2
// without extended CONNECT (RFC 8441 section 3), or demands HTTP/1.1, it is dialed again with
// http/1.1. In both cases the Dials of the next ten minutes ask for HTTP/1.1 at once. For ws, which
// has no ALPN, see Cleartext.
//
// # What is different for a WebSocket
//
// Its Conn has the same methods, limits and errors. Its Config.Transport carries the shared
// connection: it must be a transport.Pusher and a transport.Queue, as all of this module are. If the
// connection is lost, each of its WebSockets ends with a *CloseError of its own that wraps a
// *SessionError; if the server resets a stream, that WebSocket ends with one that wraps a
// *StreamError. A server that ends a connection gracefully (GOAWAY) lets its streams finish, and
// new ones go to another connection. A Dial whose stream the server has certainly not processed is
// repeated on another connection, up to three times within its Timeout.
//
// Limits.HandshakeSize bounds the response of each Dial. What is larger than 64 KiB, and than the
// HandshakeSize of the Dial that had the connection dialed, ends the whole connection.
//
// The goroutine that reads a connection calls the Handlers of all its WebSockets, so a Handler must not
// wait for anything that comes on the same connection: not call Dial or Open with the same Mux, nor Drain,
// nor a send that waits for room (see Limits.WhenFull), also not of another WebSocket.
type Mux struct {
	// StreamsPerConn is how many WebSockets share a connection, if the server allows as many
	// (SETTINGS_MAX_CONCURRENT_STREAMS); the next ones get another connection. 0:
	// DefaultStreamsPerConn.
	StreamsPerConn int

	// MaxConns bounds the shared connections to one host, as told above, including those being
	// dialed, but without those that take no new streams because the server has sent GOAWAY.
	// When all are full, a Dial waits until a stream is free, or else fails with an error that is
	// ErrNoStream. 0: no limit. Connections with HTTP/1.1 are not limited.
	MaxConns int

	// Window is how many bytes each stream may receive before the WebSocket has read them: what a
	// connection holds for a WebSocket that is paused or slow, beside what that holds itself. 0:
	// h2.DefaultWindow.
	Window int

	// IdleTimeout is the time after which a connection without streams is closed. 0:
	// DefaultIdleTimeout. Negative: never.
	IdleTimeout time.Duration

	// Cleartext has ws URLs, which use HTTP/1.1 otherwise, use HTTP/2 without TLS ("h2c", RFC 9113
	// section 3.3). The server must speak it: there is no negotiation, and no way back to HTTP/1.1
	// but for a server without extended CONNECT.
	Cleartext bool

	// HTTP3, unless nil, has wss URLs use HTTP/3 (RFC 9220) where they can: WebSockets become streams of
	// QUIC connections, which package transport/h3, a module of its own, provides. It is experimental. A
	// server that can't be reached with it is asked for HTTP/2 and HTTP/1.1 by the same Dial, and in the
	// next ten minutes by all Dials at once; h3.Dialer.Required has such Dials fail. Not used for a URL with
	// a proxy, a Unix socket, a NetDial, a DialTLS, or a Dialer with Control or ControlContext: they say
	// how to connect with TCP.
	//
	// StreamsPerConn, MaxConns, Window, IdleTimeout, Close, Shutdown and Stats apply; Trace and
	// Config.Transport don't.
	HTTP3 transport.StreamDialer

	// Trace, unless nil, is called with each frame of the connections to and from remote. It is
	// called from several goroutines, for each connection in order. See h2.Config.Trace.
	Trace func(remote net.Addr, f h2.Frame)

	mu      sync.Mutex
	state   muxState
	hosts   map[muxKey]*muxHost
	conns   map[*muxConn]struct{} // that have a session
	drained chan struct{}         // closed when Shutdown has nothing more to wait for; nil: not called
}

// A muxState is where a Mux is in its life.
type muxState uint8

const (
	muxOpen muxState = iota
	muxShutdown
	muxClosed
)

// streamsPerConn returns StreamsPerConn or its default.
func (m *Mux) streamsPerConn() int {
	if m.StreamsPerConn == 0 {
		return DefaultStreamsPerConn
	}
	return m.StreamsPerConn
}

// idleTimeout returns IdleTimeout or its default.
func (m *Mux) idleTimeout() time.Duration {
	if m.IdleTimeout == 0 {
		return DefaultIdleTimeout
	}
	return m.IdleTimeout
}

// check returns an error for fields that can't be used.
func (m *Mux) check() error {
	for _, field := range []struct {
		name       string
		value, max int
	}{
		{"StreamsPerConn", m.StreamsPerConn, math.MaxInt32},
		{"MaxConns", m.MaxConns, math.MaxInt},
		{"Window", m.Window, math.MaxInt32}, // RFC 9113 section 6.9.1
	} {
		if field.value < 0 || field.value > field.max {
			return &HandshakeError{Reason: fmt.Sprintf("the Mux's %s of %d can't be used", field.name, field.value)}
		}
	}
	return nil
}

// errMuxClosed is the cause of what Close and Shutdown end.
var errMuxClosed = fmt.Errorf("the Mux is closed: %w", ErrClosed)

// Close ends all shared connections at once, and so their WebSockets, with errors that are ErrClosed.
// Dials under way fail, as do later ones. WebSockets over HTTP/1.1 are not closed.
func (m *Mux) Close() {
	m.mu.Lock()
	m.state = muxClosed
	sessions := m.stopLocked()
	m.mu.Unlock()
	for _, s := range sessions {
		s.Close(http2.ErrCodeNo, errMuxClosed)
	}
}

// Shutdown lets no more WebSockets be opened: Dials that wait for a connection fail, as do later
// ones. It then waits until those over HTTP/2 and HTTP/3 have ended, and their connections with them, or until
// ctx ends, whose error it returns. It closes no WebSocket itself.
func (m *Mux) Shutdown(ctx context.Context) error {
	m.mu.Lock()
	m.state = max(m.state, muxShutdown)
	sessions := m.stopLocked()
	if m.drained == nil {
		m.drained = make(chan struct{})
		m.signalDrainedLocked()
	}
	drained := m.drained
	m.mu.Unlock()
	for _, s := range sessions {
		s.Shutdown()
	}
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// MuxStats tell what a Mux has. See Mux.Stats.
type MuxStats struct {
	Conns   int // connections of HTTP/2 and HTTP/3 that are open
	Streams int // WebSockets that are open on them, or being opened
	Dialing int // connections being dialed
	Waiting int // Dials that wait for a stream to be free

	Hosts []MuxHostStats // what the sums are made of, sorted by URL and source address
}

// MuxHostStats tell what a Mux has of one host, that is, of the Dials that share connections.
type MuxHostStats struct {
	URL    string // such as wss://example.com:443, or wss+unix://socket
	Proxy  string // host and port of the proxy; "": none
	Source string // the source address asked for; "": any
	HTTP1  bool   // the server is asked for HTTP/1.1 at present

	Conns, Streams, Dialing, Waiting int // as those of MuxStats
}

// Stats returns what there is at present. WebSockets over HTTP/1.1 are not counted.
func (m *Mux) Stats() MuxStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	byHost := map[muxKey]*MuxHostStats{}
	of := func(h *muxHost) *MuxHostStats {
		s := byHost[h.key]
		if s == nil {
			s = h.key.stats()
			byHost[h.key] = s
		}
		return s
	}
	for _, h := range m.hosts {
		s := of(h)
		s.HTTP1 = h.speaksHTTP1Locked()
		s.Waiting = h.queue.Len()
		for _, c := range h.conns {
			if c.isDialling() {
				s.Dialing++
			}
		}
	}
	for c := range m.conns { // also those of no host any more
		s := of(c.host)
		s.Conns++
		s.Streams += c.session.Streams()
	}
	var sum MuxStats
	for _, s := range byHost {
		sum.Conns += s.Conns
		sum.Streams += s.Streams
		sum.Dialing += s.Dialing
		sum.Waiting += s.Waiting
		sum.Hosts = append(sum.Hosts, *s)
	}
	slices.SortFunc(sum.Hosts, func(a, b MuxHostStats) int {
		if order := strings.Compare(a.URL, b.URL); order != 0 {
			return order
		}
		return strings.Compare(a.Source, b.Source)
	})
	return sum
}

// ErrNoStream is in the chain of the *HandshakeError of a Dial whose time was over while it waited for
// a stream: all connections that Mux.MaxConns allows were full, or the server allowed no streams.
var ErrNoStream = errors.New("websock: no stream of the Mux was free")
