package websock

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
)

// Nobody is at the first address that the name has, and the second one is tried.
func TestNamesAreLookedUpByTheDialersResolver(t *testing.T) {
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(server(t, echo(t, nil)), "ws://"))
	nowhere := [16]byte{1} // 100::, of the prefix that discards (RFC 6666)
	dns := nameServer(t, "feed.test", [4]byte{127, 0, 0, 1}, nowhere)
	cfg := &Config{
		Proxy: NoProxy,
		Dialer: &net.Dialer{Resolver: &net.Resolver{
			PreferGo: true,
			Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "udp", dns)
			},
		}},
	}
	c, err := Dial(t.Context(), "ws://feed.test:"+port, cfg)
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	var failed *net.DNSError
	if _, err := Dial(t.Context(), "ws://other.test:"+port, cfg); !errors.As(err, &failed) || !failed.IsNotFound {
		t.Error(err)
	}
}
