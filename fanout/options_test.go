package fanout

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

func TestOptionsThatMakeNoSense(t *testing.T) {
	targets := URLs("ws://127.0.0.1:1/")
	choose := func(*Slot) Target { return targets[0] }
	received := func(*Slot, websock.Opcode, []byte) {}
	handled := []Target{{Config: websock.Config{Host: "a", Handler: websock.Messages(nil, nil)}}}
	for name, o := range map[string]Options{
		"no target":         {Size: 1},
		"two ways":          {Targets: targets, Choose: choose},
		"no size":           {Choose: choose},
		"negative size":     {Targets: targets, Size: -1},
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

func TestHostsAreThoseThatAreDialled(t *testing.T) {
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

func TestChooseAndPrepareSayWhereToAndHow(t *testing.T) {
	server := newTestServer(t)
	tokens := make(chan string, 3)
	server.OnRequest = func(r *http.Request) error {
		tokens <- r.URL.Path + r.Header.Get("Authorization")
		return nil
	}
	g := begun(t, Options{
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
	allUp(t, g)
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
		targets = targets[:1] // other systems have to be given a second address first
	}
	g := begun(t, Options{Targets: targets, Size: 2 * len(targets)})
	allUp(t, g)
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

func TestTraceIsAskedForEveryAttempt(t *testing.T) {
	server := newTestServer(t)
	dialled := make(chan string, 2)
	g := begun(t, Options{
		Targets: over(nil, server.url()),
		Size:    2,
		Trace: func(s *Slot) *websock.Trace {
			return &websock.Trace{DialStart: func(string, string) { dialled <- s.Key() }}
		},
	})
	allUp(t, g)
	got := []string{<-dialled, <-dialled}
	if slices.Sort(got); !slices.Equal(got, []string{"0", "1"}) {
		t.Errorf("%q", got)
	}
}

func TestTheLoggerIsToldWhatHappens(t *testing.T) {
	var mu sync.Mutex
	var text strings.Builder
	logger := slog.New(slog.NewTextHandler(lockedWriter{&mu, &text}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	server := newTestServer(t)
	refusing := answering(t, 403, nil)
	g := begun(t, Options{
		Targets: append(over(nil, server.url()), over(nil, refusing)...),
		Key:     func(number int) string { return []string{"good", "bad"}[number] },
		Logger:  logger,
	})
	if err := g.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	shutdown(t, g)
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{
		`level=DEBUG msg=connected slot=good`,
		`level=WARN msg="can't connect" slot=bad error="websock: handshake with ` + strings.TrimPrefix(refusing, "ws://") + `: the server declines (HTTP status 403)"`,
		`level=DEBUG msg="connection lost" slot=good`,
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %s in\n%s", want, text.String())
		}
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func TestWhatIsPermanent(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	_, untrusted := websock.Dial(t.Context(), "wss"+strings.TrimPrefix(secure.URL, "https"), &websock.Config{Proxy: websock.NoProxy})
	_, refused := websock.Dial(t.Context(), "ws://127.0.0.1:1/", &websock.Config{Proxy: websock.NoProxy})
	status := func(code int) error { return &websock.HandshakeError{Status: code} }
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"401":                    {status(401), true},
		"403":                    {status(403), true},
		"404":                    {status(404), true},
		"407":                    {status(407), true},
		"410":                    {status(410), true},
		"400":                    {status(400), false},
		"429":                    {status(429), false},
		"500":                    {status(500), false},
		"503":                    {status(503), false},
		"untrusted certificate":  {untrusted, true},
		"verification":           {&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, true},
		"our certificate":        {&websock.HandshakeError{Err: tls.AlertError(42)}, true},
		"certificate required":   {&websock.HandshakeError{Err: tls.AlertError(116)}, true},
		"missing certificate":    {&websock.HandshakeError{Err: tls.AlertError(40)}, true},
		"another alert":          {&websock.HandshakeError{Err: tls.AlertError(80)}, false},
		"nobody there":           {refused, false},
		"unusable":               {&targetError{errHandler}, true},
		"closed":                 {&websock.CloseError{Code: websock.CloseGoingAway}, false},
		"closed by ourselves":    {&websock.CloseError{Code: websock.CloseNormal, Local: true}, false},
		"too late":               {context.DeadlineExceeded, false},
		"something else":         {errors.New("x"), false},
		"nothing was received":   {websock.ErrIdle, false},
		"peer broke a rule":      {&websock.ProtocolError{Code: websock.CloseProtocolError}, false},
		"something was too long": {&websock.LimitError{}, false},
	} {
		if got := Permanent(test.err); got != test.want {
			t.Errorf("%s: %v (%v)", name, got, test.err)
		}
	}
}

func TestFailuresHaveTheirKinds(t *testing.T) {
	server := newTestServer(t)
	timeout := websock.Config{Host: "a", Proxy: websock.NoProxy, Timeout: 20 * time.Millisecond}
	timeout.NetDial = func(ctx context.Context, _, _ string) (_ net.Conn, err error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	proxy, err := url.Parse(strings.Replace(answering(t, 502, nil), "ws", "http", 1))
	if err != nil {
		t.Fatal(err)
	}
	byProxy := websock.Config{Host: "a", Proxy: websock.ProxyURL(proxy)}
	plain := strings.TrimPrefix(server.url(), "ws")
	for want, target := range map[Failure]Target{
		FailedProxy:    {Config: byProxy},
		FailedStatus:   {URL: answering(t, 500, nil)},
		FailedConnect:  {URL: "ws://127.0.0.1:1/"},
		FailedResolve:  {URL: "ws://does-not-exist.invalid/"},
		FailedTLS:      {URL: "wss" + plain},
		FailedTimeout:  {Config: timeout},
		FailedProtocol: {URL: talking(t, "SSH-2.0\r\n")},
		FailedSetUp:    {URL: server.url() + "setup"},
	} {
		t.Run(string(want), func(t *testing.T) {
			if target.Config.Proxy == nil {
				target.Config.Proxy = websock.NoProxy
			}
			failed := make(chan error, 100)
			begun(t, Options{
				Targets:   []Target{target},
				OnConnect: func(context.Context, *Slot, *websock.Conn) error { return errors.New("no") },
				OnDown:    func(_ *Slot, err error, _ time.Duration) { failed <- err },
				Backoff:   Backoff{Base: time.Hour},
			})
			if err := <-failed; FailureOf(err) != want {
				t.Errorf("%v: %v", FailureOf(err), err)
			}
		})
	}
}

func TestTheKindOfALossIsLost(t *testing.T) {
	closed := &websock.CloseError{Code: websock.CloseAbnormal}
	for _, test := range []struct {
		err  error
		want Failure
	}{
		{closed, FailedLost},
		{&websock.ProtocolError{}, FailedLost},
		{&websock.LimitError{}, FailedLost},
		{&websock.HandlerError{}, FailedLost},
		{&DownError{ConnectionLost, websock.ErrTimeout}, FailedLost},
		{&DownError{AttemptFailed, closed}, FailedSetUp}, // in OnConnect
		{&DownError{ShutDown, closed}, FailedShutdown},
		{&DownError{AttemptFailed, context.Canceled}, FailedSetUp}, // of Prepare's own
		{&websock.HandshakeError{Err: os.NewSyscallError("eventfd", syscall.EMFILE)}, FailedLocal},
		{&websock.HandshakeError{Err: &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.ENFILE)}}, FailedLocal},
		{context.Canceled, FailedShutdown},
	} {
		if got := FailureOf(test.err); got != test.want {
			t.Errorf("%#v: %q, want %q", test.err, got, test.want)
		}
	}
	for reason, want := range map[Reason]string{AttemptFailed: "attempt failed", ConnectionLost: "connection lost", ShutDown: "shut down", 0: "invalid"} {
		if reason.String() != want {
			t.Errorf("%q, want %q", reason.String(), want)
		}
	}
}

// talking is a server that says something to everybody.
func talking(t *testing.T, text string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, text)
			conn.Close()
		}
	}()
	return "ws://" + l.Addr().String()
}

func TestHistogramsSortDurations(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 {
		t.Error("a quantile of nothing")
	}
	for _, test := range []struct {
		d      time.Duration
		bucket int
	}{
		{-1, 0}, {0, 0}, {64 * time.Microsecond, 0}, {64*time.Microsecond + 1, 1}, {128 * time.Microsecond, 1},
		{time.Millisecond, 4}, {time.Second, 14}, {time.Hour, buckets - 1}, {1 << 62, buckets - 1},
	} {
		var h Histogram
		h.add(test.d)
		if h.Buckets[test.bucket] != 1 || h.Count != 1 || h.Sum != max(test.d, 0) {
			t.Errorf("%v: %+v", test.d, h)
		}
		if i := test.bucket; i > 0 && test.d <= h.Bound(i-1) || i < buckets-1 && test.d > h.Bound(i) {
			t.Errorf("%v isn't within the bounds of bucket %d", test.d, i)
		}
	}
	for i := range 100 {
		h.add(time.Duration(i+1) * time.Millisecond)
	}
	for q, most := range map[float64]time.Duration{0: 2 * time.Millisecond, 0.5: 100 * time.Millisecond, 0.99: 200 * time.Millisecond, 1: 200 * time.Millisecond} {
		least := time.Duration(q*100) * time.Millisecond
		if got := h.Quantile(q); got < least || got > most {
			t.Errorf("quantile %v: %v", q, got)
		}
	}
}

func TestStatesHaveNames(t *testing.T) {
	for state, want := range map[State]string{Waiting: "waiting", Connecting: "connecting", Up: "up", Stopped: "stopped", 99: "invalid"} {
		if state.String() != want {
			t.Errorf("%q, want %q", state, want)
		}
	}
}

func TestFindKnowsNumbersAsKeys(t *testing.T) {
	g := begun(t, Options{Targets: URLs("ws://127.0.0.1:1/"), Size: 12, Backoff: Backoff{Base: time.Hour}})
	for key, want := range map[string]int{"0": 0, "11": 11, "12": -1, "-1": -1, "01": -1, "+1": -1, "x": -1, "": -1} {
		s := g.Find(key)
		if (s != nil) != (want >= 0) || s != nil && s.Number() != want {
			t.Errorf("%q", key)
		}
	}
	n := 0
	for s := range g.Slots() {
		if s.Number() != n || s != g.Slot(n) || s.Key() != g.Find(s.Key()).Key() {
			t.Error(n)
		}
		if n++; n == 5 {
			break
		}
	}
}
