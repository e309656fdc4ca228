package websock

import (
	"net/http"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/transport"
)

// AcceptOptions says what Accept agrees to. Its zero value is ready to use.
type AcceptOptions struct {
	// Subprotocols spoken, in order of preference. The first that the client
	// offers is agreed; if it offers none of them, none (RFC 6455 section 4.2.2).
	Subprotocols []string

	// Compression is what is agreed, as far as the client's offers allow:
	// permessage-deflate (RFC 7692). Zero: nothing. Conn.Compression tells what was.
	Compression engine.Compression

	// Header is sent with the answer, beyond what is set implicitly.
	Header http.Header

	// CheckOrigin decides about requests that a browser sends from a page of
	// another site (RFC 6455 section 10.2). nil: only pages of the same host and
	// port, default ports taken into account, and of the same Scheme.
	CheckOrigin func(r *http.Request) bool

	// Scheme is that of the pages of the same origin: "https" or "http". "": https if the
	// request came over TLS, and else either, since a proxy in front of the server may do
	// TLS.
	Scheme string

	// CheckRequest has the last word on a request. An error declines it: with
	// status 403, or as a *HandshakeError with a status of 300 to 599 says.
	CheckRequest func(r *http.Request) error

	Limits    engine.Limits     // zero fields: the defaults
	KeepAlive KeepAlive         // zero: no pings, and a silent client stays
	Transport transport.Factory // nil: std.Transport()
	Handler   engine.Handler    // nil: data is pulled with Recv

	// Recover is told of a panic of the Handler: see Config.
	Recover func(c *Conn, v any)
}

// Accept performs the opening handshake in the server role (RFC 6455 section
// 4.2), inside an http.Handler, and takes the connection away from the HTTP
// server. opts may be nil. On an error, which is a *HandshakeError, the request
// has been answered.
func Accept(w http.ResponseWriter, r *http.Request, opts *AcceptOptions) (*engine.Conn, error) {
	if opts == nil {
		opts = &AcceptOptions{}
	}
	reserved, err := reserve(opts.Transport)
	if err != nil {
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return nil, err
	}
	defer reserved.Release()
	policy, err := opts.KeepAlive.policy()
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return nil, err
	}
	conn, result, err := handshake.Accept(w, r, &handshake.ServerOptions{
		Subprotocols: opts.Subprotocols,
		Compression:  opts.Compression,
		Header:       opts.Header,
		CheckOrigin:  opts.CheckOrigin,
		Scheme:       opts.Scheme,
		CheckRequest: opts.CheckRequest,
	})
	if err != nil {
		return nil, err
	}
	return attach(conn, result, attachOptions{reserved, opts.Handler, policy}, engine.Options{
		Role:    engine.Server,
		Limits:  opts.Limits,
		Recover: opts.Recover,
		OnPing:  opts.KeepAlive.OnPing,
	})
}
