package websock

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/endpoint"
	"github.com/seed004e8d11/websock/internal/handshake"
)

// A route is where the next attempt goes and what it may tell there.
type route struct {
	to      endpoint.Endpoint
	header  http.Header
	strange bool // a redirect has led away from the origin that the caller named
}

// open opens a connection along the route.
func (r *route) open(ctx context.Context, cfg *Config) (*engine.Conn, error) {
	ctx, cancel := withTimeout(ctx, cfg.Timeout)
	defer cancel()
	reserved, err := reserve(cfg.Transport)
	if err != nil {
		return nil, err
	}
	defer reserved.Release()
	policy, err := cfg.KeepAlive.policy()
	if err != nil {
		return nil, err
	}
	for redirects := 0; ; redirects++ {
		request := r.request(cfg)
		if err := request.Check(); err != nil {
			return nil, err
		}
		conn, err := dial(ctx, cfg, &r.to)
		if err != nil {
			return nil, err // also what a proxy answers, which is never followed
		}
		result, err := ask(ctx, cfg.trace(), conn, request)
		if err == nil {
			return attach(conn, result, way{reserved, cfg.Handler, policy}, engine.Options{
				Role:    engine.Client,
				Limits:  cfg.Limits,
				Recover: cfg.Recover,
				OnPing:  cfg.KeepAlive.OnPing,
			})
		}
		if redirects >= cfg.MaxRedirects {
			return nil, err
		}
		if err := r.follow(err, cfg.RedirectHeader); err != nil {
			return nil, err
		}
	}
}

// request returns the opening handshake that is sent.
func (r *route) request(cfg *Config) *handshake.Request {
	host := r.to.HostHeader()
	if cfg.HostHeader != "" && !r.strange {
		host = cfg.HostHeader
	}
	return &handshake.Request{
		Host:         host,
		Target:       r.to.Target,
		Header:       r.header,
		Subprotocols: cfg.Subprotocols,
		Compression:  cfg.Compression,
		MaxSize:      cfg.Limits.WithDefaults().HandshakeSize,
	}
}

// follow makes the route lead where the server's answer points, or returns an error: that of
// the answer, or why it isn't followed. allowed are the headers that may go to other origins.
func (r *route) follow(answer error, allowed []string) error {
	var failed *HandshakeError
	if !errors.As(answer, &failed) {
		return answer
	}
	if r.to.Network != "tcp" {
		return answer
	}
	next, err := handshake.RedirectTarget(&r.to, failed)
	switch {
	case err != nil:
		return err
	case next == nil:
		return answer
	}
	if !r.to.SameOrigin(next) && !r.to.Secures(next) {
		r.strange = true
		r.header = only(handshake.StripCredentials(r.header), allowed)
	}
	r.to = *next
	return nil
}

// only returns the headers of h with these names.
func only(h http.Header, names []string) http.Header {
	kept := http.Header{}
	for name, values := range h {
		if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			kept[name] = values
		}
	}
	return kept
}
