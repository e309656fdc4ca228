package fanout

import (
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

func TestStartRefusesInvalidOptions(t *testing.T) {
	targets := URLs("ws://127.0.0.1:1/")
	choose := func(*Slot) Target { return targets[0] }
	received := func(*Slot, websock.Opcode, []byte) {}
	handled := []Target{{Config: websock.Config{Host: "a", Handler: websock.Messages(nil, nil)}}}
	for name, o := range map[string]Options{
		"no target":         {Size: 1},
		"two ways":          {Targets: targets, Choose: choose},
		"huge size":         {Targets: targets, Size: math.MaxInt},
		"no rate":           {Targets: targets, Pace: Pace{Rate: math.NaN()}},
		"negative buffer":   {Targets: targets, SendBuffer: -1},
		"both receivers":    {Targets: targets, OnMessage: received, OnData: func(*Slot, websock.Header, []byte) {}},
		"same keys":         {Targets: targets, Size: 2, Key: func(int) string { return "k" }},
		"empty key":         {Targets: targets, Key: func(int) string { return "" }},
		"no URL":            {Targets: URLs("127.0.0.1:1")},
		"bad URL":           {Targets: URLs("ws://[::1")},
		"URL without host":  {Targets: URLs("ws:///x")},
		"no host":           {Targets: []Target{{}}},
		"a handler already": {Targets: handled},
	} {
		if g, err := Start(o); err == nil {
			t.Error(name)
			shutdown(t, g)
		}
	}
}

func TestTheHostOfATargetIsWhatIsDialed(t *testing.T) {
	config := func(host string, port int, secure bool) Target {
		return Target{Config: websock.Config{Host: host, Port: port, Secure: secure}}
	}
	for want, target := range map[string]Target{
		"a.example:80":              {URL: "ws://A.example/x?y"},
		"a.example:443":             {URL: "wss://a.example"},
		"a.example:8443":            {URL: "wss://a.example:8443"},
		"[::1]:80":                  {URL: "ws://[::1]/"},
		"/run/a b.sock":             {URL: "ws+unix:///run/a%20b.sock:/chat"},
		"b.example:443":             config("B.example", 0, true),
		"c.example:80":              {URL: "http://c.example/a b?q=ü"},
		"xn--bcher-kva.example:443": config("bücher.example", 0, true),
		"b.example:80":              config("b.example", 0, false),
		"[fe80::1]:9000":            config("[fe80::1]", 9000, true),
		"[fe80::2]:80":              config("fe80::2", 0, false),
		"192.0.2.1:65535":           config("192.0.2.1", 65535, false),
		"/run/secure.sock":          {URL: "wss+unix:///run/secure.sock"},
	} {
		if got, err := target.host(); got != want || err != nil {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
}

func TestAnUnusableTargetStopsTheSlot(t *testing.T) {
	config := func(change func(*websock.Config)) Target {
		c := websock.Config{Host: "127.0.0.1", Port: 1}
		change(&c)
		return Target{Config: c}
	}
	for name, target := range map[string]Target{
		"port 99999":         {URL: "ws://127.0.0.1:99999/"},
		"port 0":             {URL: "ws://127.0.0.1:0/"},
		"a user name":        {URL: "ws://user:password@127.0.0.1:1/"},
		"a fragment":         {URL: "ws://127.0.0.1:1/#x"},
		"another scheme":     {URL: "ftp://127.0.0.1:1/"},
		"port 99999, Open":   config(func(c *websock.Config) { c.Port = 99999 }),
		"a bad header name":  config(func(c *websock.Config) { c.Header = map[string][]string{"a b": {"x"}} }),
		"a bad header value": config(func(c *websock.Config) { c.Header = map[string][]string{"A": {"x\r\ny"}} }),
		"our own header":     config(func(c *websock.Config) { c.Header = map[string][]string{"Upgrade": {"x"}} }),
		"a bad subprotocol":  config(func(c *websock.Config) { c.Subprotocols = []string{"a b"} }),
	} {
		if g, err := Start(Options{Targets: []Target{target}}); err == nil {
			t.Error(name)
			shutdown(t, g)
		}
		g := startGroup(t, Options{Size: 1, Choose: func(*Slot) Target { return target }})
		if err := g.WaitUp(t.Context(), 1); err != ErrDown || g.Slot(0).State() != Stopped || g.Stats().Attempts != 1 {
			t.Errorf("%s: %v, %v, %+v", name, err, g.Slot(0).State(), g.Stats())
		}
	}
}

func TestATransportWithoutPushStopsTheSlot(t *testing.T) {
	server := newTestServer(t)
	g := startGroup(t, Options{Targets: targetsFor(pullOnly{}, server.url())})
	if err := g.WaitUp(t.Context(), 1); err != ErrDown || !errors.Is(g.Slot(0).Err(), websock.ErrNoPush) {
		t.Errorf("%v, %v", err, g.Slot(0).Err())
	}
}

func TestChooseAndPrepareDetermineTheTarget(t *testing.T) {
	server := newTestServer(t)
	tokens := make(chan string, 3)
	server.OnRequest = func(r *http.Request) error {
		tokens <- r.URL.Path + r.Header.Get("Authorization")
		return nil
	}
	g := startGroup(t, Options{
		Size: 2,
		Choose: func(s *Slot) Target {
			if s.Failures() == 0 {
				return Target{URL: "ftp://nowhere"}
			}
			return Target{URL: server.url() + s.Key(), Config: websock.Config{Proxy: websock.NoProxy}}
		},
		Permanent: func(error) bool { return false },
		Prepare: func(_ context.Context, s *Slot, target *Target) error {
			target.Config.Header = http.Header{"Authorization": {"token " + s.Key()}}
			return nil
		},
	})
	waitAllUp(t, g)
	got := map[string]bool{<-tokens: true, <-tokens: true}
	if !got["/0token 0"] || !got["/1token 1"] {
		t.Errorf("%v", got)
	}
	if s := g.Stats(); s.Failed[FailedProtocol]+s.Failed[FailedSetUp] != 2 || s.Attempts != 4 {
		t.Errorf("%+v", s)
	}
}

func TestFromSpreadsOverSourceAddresses(t *testing.T) {
	server := newTestServer(t)
	came := make(chan string, 4)
	server.OnRequest = func(r *http.Request) error {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		came <- host
		return nil
	}
	dialer := &net.Dialer{Timeout: time.Minute}
	targets := From(Target{URL: server.url(), Config: websock.Config{Proxy: websock.NoProxy, Dialer: dialer}},
		netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"))
	if runtime.GOOS != "linux" {
		targets = targets[:1] // other systems have only one loopback address by default
	}
	g := startGroup(t, Options{Targets: targets, Size: 2 * len(targets)})
	waitAllUp(t, g)
	var got []string
	for range g.Len() {
		got = append(got, <-came)
	}
	slices.Sort(got)
	if want := []string{"127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.2"}[:g.Len()]; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if dialer.LocalAddr != nil || targets[0].Config.Dialer.Timeout != time.Minute {
		t.Error("the Dialer given was changed, or not copied")
	}
}

func TestTraceIsCalledForEveryAttempt(t *testing.T) {
	server := newTestServer(t)
	dialed := make(chan string, 2)
	g := startGroup(t, Options{
		Targets: targetsFor(nil, server.url()),
		Size:    2,
		Trace: func(s *Slot) *websock.Trace {
			return &websock.Trace{DialStart: func(string, string) { dialed <- s.Key() }}
		},
	})
	waitAllUp(t, g)
	got := []string{<-dialed, <-dialed}
	if slices.Sort(got); !slices.Equal(got, []string{"0", "1"}) {
		t.Errorf("%q", got)
	}
}
