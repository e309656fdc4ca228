package fanout

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/endpoint"
	"github.com/seed004e8d11/websock/internal/handshake"
)

// A Target is what a slot connects to: a URL, or what Config says.
type Target struct {
	// URL is one that websock.Dial takes. "": Config.Host and its like say where to
	// connect, as for websock.Open.
	URL string

	// Config says how to connect. The Group sets Handler, which has to be nil,
	// Limits.WhenFull, and Recover if there is an Options.Recover. Config.Timeout also bounds Options.Prepare and
	// Options.OnConnect, each.
	Config websock.Config
}

// URLs returns Targets with these URLs and nothing else.
func URLs(urls ...string) []Target {
	targets := make([]Target, len(urls))
	for i, u := range urls {
		targets[i].URL = u
	}
	return targets
}

// From returns, for each source address, a Target that is t but for that: its Config.Dialer
// is a copy with LocalAddr. So a Group can have more connections to one endpoint than one
// address has ports for, which are some 28,000; Linux takes long to find those beyond 14,000.
// The system must have the addresses.
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

// host returns the host and port that is dialled, or the socket's path, and refuses a Target
// that can't be dialled at all.
func (t *Target) host() (string, error) {
	if t.Config.Handler != nil {
		return "", errHandler
	}
	to, err := t.endpoint()
	if err != nil {
		return "", &websock.HandshakeError{Reason: "there is nothing to connect to", Err: err}
	}
	return to.Address(), t.request(&to).Check()
}

// request returns what would be sent to the endpoint, as far as it can be wrong.
func (t *Target) request(to *endpoint.Endpoint) *handshake.Request {
	c := &t.Config
	return &handshake.Request{
		Host:         orDefault(c.HostHeader, to.HostHeader()),
		Target:       to.Target,
		Header:       c.Header,
		Subprotocols: c.Subprotocols,
		Compression:  c.Compression,
	}
}

func (t *Target) endpoint() (endpoint.Endpoint, error) {
	if t.URL != "" {
		return endpoint.Parse(t.URL)
	}
	c := &t.Config
	return endpoint.New(c.Host, c.Port, c.Path, c.Secure)
}

// dial connects. trace may be nil.
func (t *Target) dial(ctx context.Context, s *Slot, trace *websock.Trace) (*websock.Conn, error) {
	cfg := t.Config
	if f := s.group.options.Recover; f != nil {
		cfg.Recover = func(_ *websock.Conn, v any) { f(s, v) }
	}
	if trace != nil {
		cfg.Trace = trace
	}
	cfg.Limits.WhenFull = websock.QueueDefault // waits in OnConnect, and refuses afterwards
	if t.URL != "" {
		return websock.Dial(ctx, t.URL, &cfg)
	}
	return websock.Open(ctx, cfg)
}
