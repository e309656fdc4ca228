package fanout

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// A Target is what a slot connects to: a URL, or what Config says.
type Target struct {
	// URL is one that websock.Dial takes. "": Config.Host and its like say where to
	// connect, as for websock.Open.
	URL string

	// Config says how to connect. The Group sets Handler, which has to be nil, and
	// Limits.WhenFull, which it ignores. Config.Timeout also bounds Options.Prepare and
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
	switch {
	case t.Config.Handler != nil:
		return "", errHandler
	case t.URL != "":
		return hostOf(t.URL)
	case t.Config.Host == "":
		return "", &websock.HandshakeError{Reason: "no host to connect to"}
	}
	host := strings.TrimSuffix(strings.TrimPrefix(t.Config.Host, "["), "]")
	return hostPort(host, t.Config.Port, t.Config.Secure), nil
}

func hostOf(rawURL string) (string, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", &websock.HandshakeError{Reason: "URL can't be parsed", Err: err}
	}
	switch u.Scheme {
	case "ws", "wss":
		port, _ := strconv.Atoi(u.Port()) // websock.Dial refuses what is no number
		if u.Hostname() == "" {
			return "", &websock.HandshakeError{Reason: "no host in the URL"}
		}
		return hostPort(u.Hostname(), port, u.Scheme == "wss"), nil
	case "ws+unix", "wss+unix":
		path, _, _ := strings.Cut(u.EscapedPath(), ":")
		return path, nil
	}
	return "", &websock.HandshakeError{Reason: "URL scheme " + strconv.Quote(u.Scheme) + " is none of ws, wss, ws+unix, wss+unix"}
}

func hostPort(host string, port int, secure bool) string {
	switch {
	case port != 0:
	case secure:
		port = 443
	default:
		port = 80
	}
	return net.JoinHostPort(strings.ToLower(host), strconv.Itoa(port))
}

// dial connects. trace may be nil.
func (t *Target) dial(ctx context.Context, trace *websock.Trace) (*engine.Conn, error) {
	cfg := t.Config
	if trace != nil {
		cfg.Trace = trace
	}
	cfg.Limits.WhenFull = engine.QueueDefault // waits in OnConnect, and refuses afterwards
	if t.URL != "" {
		return websock.Dial(ctx, t.URL, &cfg)
	}
	return websock.Open(ctx, cfg)
}
