package fanout

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/endpoint"
)

// A Target is what a slot connects to.
type Target struct {
	// URL is one that websock.Dial accepts. "": Config says where to connect, as for
	// websock.Open.
	URL string

	// Weight is the Target's share of the slots, compared with the weights of others, with
	// Options.Failover or in SlotOptions. Choose ignores it. 0: 1. A negative weight makes the Target a
	// spare: slots connect to it only while no other Target works, to spares in proportion to their
	// weights without the sign.
	Weight float64

	// Config says how to connect. Its Handler has to be nil: the Group sets it, and also
	// Limits.WhenFull and, if there is an Options.Recover, Recover. Its Timeout also bounds
	// Options.Prepare and Options.OnConnect, each by itself. Its KeepAlive is best left zero: the
	// Group keeps connections alive itself, see Options.Ping, and KeepAlive applies in addition. With
	// its Mux slots share HTTP/2 connections: see the package's documentation.
	// What Config points to is shared by all slots that have this Target, and must not be changed
	// while the Group runs.
	Config websock.Config
}

// URLs returns a Target for each URL, with an empty Config.
func URLs(urls ...string) []Target {
	targets := make([]Target, len(urls))
	for i, u := range urls {
		targets[i].URL = u
	}
	return targets
}

// From returns, for each source address, a copy of t that connects from there: its Config.Dialer is
// a copy with that LocalAddr. With several addresses, which the system must have, a Group can open
// more connections to one endpoint than one address has ports for, which are some 28,000. (Linux
// takes long to find free ports beyond 14,000.)
func From(t Target, sources ...netip.Addr) []Target {
	targets := make([]Target, len(sources))
	for i, source := range sources {
		dialer := net.Dialer{}
		if t.Config.Dialer != nil {
			dialer = *t.Config.Dialer
		}
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
		targets[i] = t
		targets[i].Config.Dialer = &dialer
	}
	return targets
}

var errHandler = errors.New("fanout: a Target's Config.Handler is the Group's to set")

// host returns the host and port that are dialed, or the path of a Unix socket. The error says why
// the Target can't be dialed at all.
func (t *Target) host() (string, error) {
	if t.Config.Handler != nil {
		return "", errHandler
	}
	cfg := t.Config
	cfg.Proxy = websock.NoProxy // the application's function is called only to dial
	if err := cfg.Check(t.URL); err != nil {
		return "", err
	}
	to, err := t.endpoint()
	return to.Address(), err
}

func (t *Target) endpoint() (endpoint.Endpoint, error) {
	if t.URL != "" {
		return endpoint.Parse(t.URL)
	}
	c := &t.Config
	return endpoint.New(c.Host, c.Port, c.Path, c.Secure)
}

// dial connects. trace, which may be nil, takes the place of Config.Trace.
func (t *Target) dial(ctx context.Context, a *attempt, trace *websock.Trace) (*websock.Conn, error) {
	cfg, s := t.Config, a.slot
	if book := s.group.addresses; book != nil && cfg.NetDial == nil {
		a.rotated = &rotatedDial{slot: s, dialer: cfg.Dialer}
		ctx = context.WithValue(ctx, rotatedDialKey{}, a.rotated)
		cfg.NetDial = book.dial
	}
	if f := s.group.options.Recover; f != nil {
		cfg.Recover = func(_ *websock.Conn, v any) { f(s, v) }
	}
	cfg.Trace = trace
	if k := &cfg.KeepAlive; s.group.options.leavesKeepAliveTo(cfg.Mux) && k.Ping <= 0 && k.Timeout <= 0 && k.Message == nil {
		onPing, onPong := k.OnPing, k.OnPong
		*k = s.group.options.muxKeepAlive()
		k.OnPing, k.OnPong = onPing, onPong
	}
	cfg.Limits.WhenFull = websock.QueueDefault // sends wait in OnConnect, and are refused afterwards
	if t.URL != "" {
		return websock.Dial(ctx, t.URL, &cfg)
	}
	return websock.Open(ctx, cfg)
}

// logName returns a name for logs: the URL without its query, which may contain secrets.
func (t *Target) logName() string {
	if t.URL != "" {
		name, _, _ := strings.Cut(t.URL, "?")
		return name
	}
	scheme := "ws://"
	if t.Config.Secure {
		scheme = "wss://"
	}
	host, _ := t.host()
	path, _, _ := strings.Cut(t.Config.Path, "?")
	return scheme + host + path
}
