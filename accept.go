package websock

import (
	"net/http"

	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/internal/keepalive"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/h2"
)

// AcceptOptions says what Accept agrees to. Its zero value is ready to use. Accept only reads it, so
// one AcceptOptions can be used by many goroutines at once.
type AcceptOptions struct {
	// Subprotocols supported, in order of preference. Accept agrees to the first that the client
	// offers; if it offers none of them, to none (RFC 6455 section 4.2.2).
	Subprotocols []string

	// Compression is agreed to as far as the client's offers allow: permessage-deflate (RFC
	// 7692). Zero: none. Conn.Compression returns what was agreed on.
	Compression Compression

	// Header is sent with the response, in addition to the headers that Accept sets.
	Header http.Header

	// CheckOrigin decides about requests that a browser sends from a page of another site (RFC
	// 6455 section 10.2). nil: allowed are requests without Origin, and from pages of the same
	// host and port, with default ports taken into account, and of the same Scheme.
	CheckOrigin func(r *http.Request) bool

	// Scheme is the scheme of pages of the same origin: "https" or "http". "": https if the
	// request came over TLS, and otherwise either, since TLS may end at a proxy in front of the
	// server.
	Scheme string

	// CheckRequest is called last and decides about the request. An error rejects it, with
	// status 403, or with the status of 300 to 599 of a *HandshakeError.
	CheckRequest func(r *http.Request) error

	Limits    Limits            // zero fields: the defaults
	KeepAlive KeepAlive         // zero: no pings, and idle connections stay open
	Transport transport.Factory // nil: std.Transport(); not for WebSockets over HTTP/2 and HTTP/3

	// Handler receives data by callback. It may be called, even with the end of the connection, before
	// Accept returns; call Conn.SetHandler later in place of it if that matters. It is not called if Accept
	// fails. nil: call Recv.
	Handler Handler

	// Recover is called if the Handler panics: see Config.
	Recover func(c *Conn, v any)
}

// Accept performs the opening handshake in the server role, inside an http.Handler. It takes over a
// connection of HTTP/1.1 from the HTTP server (RFC 6455 section 4.2), a stream of HTTP/2 (RFC 8441), or,
// below a Handler of package transport/h3, a stream of HTTP/3 (RFC 9220). opts may be nil. An error is a
// *HandshakeError; Accept has then sent a response, unless the connection was lost.
//
// Over HTTP/2 and HTTP/3 the request's method is CONNECT, so a pattern of http.ServeMux must not begin with
// GET. A server of HTTP/2 should be one of ConfigureServer. net/http's own server also works, if extended CONNECT is
// enabled by GODEBUG=http2xconnect=1 in the environment; but there the http.Handler must not return
// before the Conn is closed, or OnClose of its Handler was called, and each Conn needs its goroutine. In
// both, the connection belongs to the HTTP server, and AcceptOptions.Transport is not used. An
// http.ResponseWriter of middleware must have the method Unwrap, see http.ResponseController.
func Accept(w http.ResponseWriter, r *http.Request, opts *AcceptOptions) (*Conn, error) {
	if opts == nil {
		opts = &AcceptOptions{}
	}
	policy, err := opts.KeepAlive.policy()
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return nil, err
	}
	if taker, ok := handshake.StreamTakerOf[*h2.Stream](w); ok {
		st, result, err := handshake.AcceptStream(taker, w, r, opts.handshake())
		if err != nil {
			return nil, err
		}
		return newConn(st, result, Server, opts.attach(nil, keepSessionAlive(st.Session(), policy)), opts.conn())
	}
	if taker, ok := handshake.StreamTakerOf[transport.Conn](w); ok {
		stream, result, err := handshake.AcceptStream(taker, w, r, opts.handshake())
		if err != nil {
			return nil, err
		}
		return newConn(stream, result, Server, opts.attach(nil, policy), opts.conn())
	}
	reserved, err := reserve(opts.Transport)
	if err != nil {
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return nil, err
	}
	defer reserved.Release()
	conn, result, err := handshake.Accept(w, r, opts.handshake())
	if err != nil {
		return nil, err
	}
	return attach(conn, result, Server, opts.attach(reserved, policy), opts.conn())
}

// handshake returns the options that the opening handshake needs.
func (o *AcceptOptions) handshake() *handshake.ServerOptions {
	return &handshake.ServerOptions{
		Subprotocols: o.Subprotocols,
		Compression:  o.Compression,
		Header:       o.Header,
		CheckOrigin:  o.CheckOrigin,
		Scheme:       o.Scheme,
		CheckRequest: o.CheckRequest,
	}
}

func (o *AcceptOptions) attach(t transport.Reservation, policy *keepalive.Policy) attachOptions {
	return attachOptions{t, o.Handler, policy}
}

// conn returns the options that the Conn needs.
func (o *AcceptOptions) conn() Options {
	return Options{Limits: o.Limits, Recover: o.Recover, OnPing: o.KeepAlive.OnPing, OnPong: o.KeepAlive.OnPong}
}
