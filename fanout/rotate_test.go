package fanout

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/epoll"
)

func TestAttemptsGoToTheAddressesInTurn(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		host := newHostWithAddresses(t, 3)
		_, muxes := transport.(muxed) // one connection for 7 slots
		slots, each := 30, 10
		if muxes {
			slots, each = 63, 3*7
		}
		g := startGroup(t, Options{
			Targets:  targetsFor(transport, host.url),
			Size:     slots,
			Pace:     Pace{PerHost: 1},
			Rotation: &Rotation{Lookup: host.lookUp, TTL: time.Minute},
		})
		waitAllUp(t, g)
		waitUntil(t, "the servers have their shares", func() bool { return slices.Equal(host.accepted(), []int{each, each, each}) })
		if n := host.lookups.Load(); n != 1 {
			t.Errorf("%d lookups", n)
		}
	})
}

func TestAnotherAddressIsTriedInTheSameAttempt(t *testing.T) {
	host := newHostWithAddresses(t, 3)
	host.servers[1].kill()
	g := startGroup(t, Options{
		Targets:  URLs(host.url),
		Size:     30,
		Rotation: &Rotation{Lookup: host.lookUp},
	})
	waitAllUp(t, g)
	if addresses := g.addresses.names[hostName{name: "feed.test"}].families[familyIPv4].addresses; addresses[1].works() {
		t.Error("the address is not avoided")
	}
	if s := g.Stats(); len(s.Failed) != 0 || s.Attempts != 30 {
		t.Errorf("attempts have failed: %+v", s)
	}
	waitUntil(t, "the others have all", func() bool {
		n := host.accepted()
		return n[0]+n[2] == 30 && n[0] >= 10 && n[2] >= 10
	})
}

func TestAllAddressesOfAHostRefuse(t *testing.T) {
	host := newHostWithAddresses(t, 2)
	for _, s := range host.servers {
		s.kill()
	}
	down := make(chan error, 100)
	startGroup(t, Options{
		Targets:  URLs(host.url),
		Backoff:  Backoff{Base: time.Hour, Max: time.Hour},
		Rotation: &Rotation{Lookup: host.lookUp},
		OnDown:   func(_ *Slot, err error, _ time.Duration) { down <- err },
	})
	if err := <-down; FailureOf(err) != FailedConnect {
		t.Errorf("failed with %v", err)
	}
}

func TestAnAddressWhoseServerFailsIsAvoided(t *testing.T) {
	host := newHostWithAddresses(t, 2)
	var refused atomic.Int64
	host.servers[0].OnRequest = func(*http.Request) error {
		refused.Add(1)
		return &websock.HandshakeError{Status: http.StatusServiceUnavailable}
	}
	const slots = 50
	g := startGroup(t, Options{
		Targets:  URLs(host.url),
		Size:     slots,
		Pace:     Pace{PerHost: 1},
		Rotation: &Rotation{Lookup: host.lookUp, TTL: time.Hour},
	})
	waitAllUp(t, g)
	if n := refused.Load(); n == 0 || n > slots/5 { // in turn, half of the attempts would go there
		t.Errorf("%d attempts at the address that refuses", n)
	}
}

func TestAnAddressWhoseServerWorksAgainHasItsTurn(t *testing.T) {
	host := newHostWithAddresses(t, 2)
	var requests atomic.Int64
	for _, s := range host.servers {
		s.OnRequest = func(*http.Request) error {
			if requests.Add(1) == 1 {
				return &websock.HandshakeError{Status: http.StatusServiceUnavailable}
			}
			return nil
		}
	}
	g := startGroup(t, Options{Targets: URLs(host.url), Rotation: &Rotation{Lookup: host.lookUp}})
	waitAllUp(t, g)
	var broken *address
	for _, a := range g.addresses.names[hostName{name: "feed.test"}].families[familyIPv4].addresses {
		if !a.works() {
			broken = a
		}
	}
	works := func() bool {
		g.addresses.mu.Lock()
		defer g.addresses.mu.Unlock()
		return broken.works()
	}
	if broken == nil {
		t.Fatal("no address is avoided")
	}
	waitUntil(t, "it works again", func() bool {
		if c := g.Slot(0).Conn(); c != nil {
			c.Abort(nil)
		}
		return works()
	})
}

func TestHostHeaderAndServerNameAreThoseOfTheURL(t *testing.T) {
	var hosts, names sync.Map
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts.Store(r.Host, true)
		names.Store(r.TLS.ServerName, true)
		websock.Accept(w, r, &websock.AcceptOptions{Transport: epoll.Transport(), Handler: websock.Messages(nil, nil)})
	}))
	server.StartTLS()
	t.Cleanup(server.Close)
	at := netip.MustParseAddrPort(server.Listener.Addr().String())
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	target := Target{URL: "wss://example.com:" + port + "/"} // a name of the test server's certificate
	target.Config.TLS = server.Client().Transport.(*http.Transport).TLSClientConfig
	g := startGroup(t, Options{Targets: []Target{target}, Rotation: &Rotation{
		Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			if host != "example.com" {
				t.Errorf("%q was looked up", host)
			}
			return []netip.Addr{at.Addr()}, nil
		},
	}})
	waitAllUp(t, g)
	if _, ok := hosts.Load("example.com:" + port); !ok {
		t.Error("another Host header")
	}
	if _, ok := names.Load("example.com"); !ok {
		t.Error("another server name")
	}
}

func TestRotationAppliesToTheProxyAndNotToNetDialAndIPAddresses(t *testing.T) {
	host := newHostWithAddresses(t, 1)
	proxied := Target{URL: "ws://feed.test/", Config: websock.Config{
		Proxy: websock.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.test:" + strings.Split(host.servers[0].addr, ":")[1]}),
	}}
	own := Target{URL: "ws://own.test/"}
	own.Config.NetDial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, host.servers[0].addr)
	}
	for name, test := range map[string]struct {
		target  Target
		lookups string
	}{
		"a proxy":       {proxied, "proxy.test"},
		"NetDial":       {own, ""},
		"an IP address": {Target{URL: host.servers[0].url()}, ""},
		"a host name":   {Target{URL: host.url}, "feed.test"},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var names []string
			g := startGroup(t, Options{
				Targets: []Target{test.target},
				Backoff: Backoff{Base: time.Hour, Max: time.Hour},
				Rotation: &Rotation{Lookup: func(ctx context.Context, name string) ([]netip.Addr, error) {
					mu.Lock()
					defer mu.Unlock()
					names = append(names, name)
					return host.addrs, nil
				}},
			})
			waitUntil(t, "an attempt has ended", func() bool { s := g.Stats(); return s.Up == 1 || len(s.Failed) == 1 })
			mu.Lock()
			defer mu.Unlock()
			if got := strings.Join(names, " "); got != test.lookups {
				t.Errorf("looked up %q, want %q", got, test.lookups)
			}
		})
	}
}

func TestRotationUsesTheSourceAddress(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("this system has one loopback address")
	}
	host := newHostWithAddresses(t, 1)
	host.addrs = append([]netip.Addr{netip.IPv6Loopback()}, host.addrs...) // can't be reached from there
	source := netip.MustParseAddr("127.3.2.1")
	g := startGroup(t, Options{
		Targets:  From(Target{URL: host.url}, source),
		Rotation: &Rotation{Lookup: host.lookUp},
	})
	waitAllUp(t, g)
	if at := g.Slot(0).Conn().LocalAddr().(*net.TCPAddr); !at.IP.Equal(source.AsSlice()) {
		t.Errorf("connected from %v", at)
	}
	host.addrs = host.addrs[:1]
	down := make(chan error, 100)
	startGroup(t, Options{
		Targets:  From(Target{URL: host.url}, source),
		Backoff:  Backoff{Base: time.Hour, Max: time.Hour},
		Rotation: &Rotation{Lookup: host.lookUp},
		OnDown:   func(_ *Slot, err error, _ time.Duration) { down <- err },
	})
	if err := <-down; !errors.Is(err, errNoAddress) || FailureOf(err) != FailedConnect {
		t.Errorf("failed with %v", err)
	}
}

// The IPv6 address, which comes first, doesn't answer.
func TestTheOtherFamilyIsTriedSoon(t *testing.T) {
	host := newHostWithAddresses(t, 1)
	host.addrs = append([]netip.Addr{netip.IPv6Loopback()}, host.addrs...)
	silent := &net.Dialer{
		FallbackDelay: time.Millisecond,
		ControlContext: func(ctx context.Context, network, _ string, _ syscall.RawConn) error {
			if network == "tcp6" {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		},
	}
	g := startGroup(t, Options{
		Targets:  []Target{{URL: host.url, Config: websock.Config{Dialer: silent}}},
		Size:     10,
		Rotation: &Rotation{Lookup: host.lookUp},
	})
	waitAllUp(t, g)
	if s := g.Stats(); s.Attempts != 10 {
		t.Errorf("%d attempts", s.Attempts)
	}
}

func TestWhatALookupReturns(t *testing.T) {
	refused := errors.New("the resolver is out of order")
	for name, test := range map[string]struct {
		lookUp func(context.Context, string) ([]netip.Addr, error)
		want   Failure
		cause  error
	}{
		"nothing": {func(context.Context, string) ([]netip.Addr, error) { return nil, nil }, FailedResolve, nil},
		"addresses of no use": {func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{{}, netip.IPv4Unspecified()}, nil
		}, FailedResolve, nil},
		"an error":        {func(context.Context, string) ([]netip.Addr, error) { return nil, refused }, FailedResolve, refused},
		"a panic":         {func(context.Context, string) ([]netip.Addr, error) { panic(refused) }, FailedResolve, refused},
		"runtime.Goexit":  {func(context.Context, string) ([]netip.Addr, error) { runtime.Goexit(); return nil, nil }, FailedResolve, errNoAnswer},
		"nothing in time": {func(ctx context.Context, _ string) ([]netip.Addr, error) { <-ctx.Done(); return nil, ctx.Err() }, FailedTimeout, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			down := make(chan error, 100)
			var panics atomic.Int64
			config := websock.Config{}
			if test.want == FailedTimeout {
				config.Timeout = 50 * time.Millisecond
			}
			startGroup(t, Options{
				Targets:   []Target{{URL: "ws://feed.test/", Config: config}},
				Permanent: func(error) bool { return true }, // so that there is one attempt
				Rotation:  &Rotation{Lookup: test.lookUp},
				OnDown:    func(_ *Slot, err error, _ time.Duration) { down <- err },
				Recover: func(s *Slot, v any) {
					if s.Number() != 0 || v != refused {
						t.Errorf("slot %v, %v", s.Number(), v)
					}
					panics.Add(1)
				},
			})
			err := <-down
			if FailureOf(err) != test.want || test.cause != nil && !errors.Is(err, test.cause) {
				t.Errorf("failed with %v (%v)", err, FailureOf(err))
			}
			if n := panics.Load(); (n == 1) != (name == "a panic") {
				t.Errorf("%d calls of Recover", n)
			}
		})
	}
}

// Two names have two servers each, which are killed and started again.
func TestFailoverAndRotationWhileServersComeAndGo(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		a, b := newHostWithAddresses(t, 2), newHostWithAddresses(t, 2)
		targets := append(targetsFor(transport, strings.Replace(a.url, "feed", "a", 1)), targetsFor(transport, strings.Replace(b.url, "feed", "b", 1))...)
		g := startGroup(t, Options{
			Targets:  targets,
			Size:     60,
			Failover: &Failover{Avoid: 20 * time.Millisecond, AvoidMax: 100 * time.Millisecond},
			Rotation: &Rotation{TTL: 10 * time.Millisecond, Lookup: func(ctx context.Context, name string) ([]netip.Addr, error) {
				if name == "a.test" {
					return a.lookUp(ctx, name)
				}
				return b.lookUp(ctx, name)
			}},
		})
		servers := append(a.servers, b.servers...)
		for _, dead := range [][]int{{0}, {0, 1}, {1, 2}, {2, 3}} {
			waitAllUp(t, g)
			for _, i := range dead {
				servers[i].kill()
			}
			waitUntil(t, "all are up at the servers that are left", func() bool {
				for s := range g.Slots() {
					c := s.Conn()
					if c == nil || slices.ContainsFunc(dead, func(i int) bool { return c.RemoteAddr().String() == servers[i].addr }) {
						return false
					}
				}
				return true
			})
			for _, i := range dead {
				servers[i].start()
			}
		}
		waitAllUp(t, g)
		checkCounts(t, g.Stats(), 60)
	})
}
