package fanout

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/h2"
)

func TestPermanentClassifiesErrors(t *testing.T) {
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

func TestAPermanentFailureStopsTheSlot(t *testing.T) {
	for _, status := range []int{401, 403, 404, 410} {
		var stopped atomic.Int32
		g := startGroup(t, Options{
			Targets: targetsFor(nil, statusServer(t, status, nil)),
			OnDown: func(s *Slot, err error, next time.Duration) {
				var failed *websock.HandshakeError
				if !errors.As(err, &failed) || failed.Status != status || next >= 0 {
					t.Errorf("%v, %v", err, next)
				}
				stopped.Add(1)
			},
		})
		if err := g.WaitUp(t.Context(), 1); err != ErrDown {
			t.Error(err)
		}
		waitUntil(t, "OnDown", func() bool { return stopped.Load() == 1 })
		if s := g.Slot(0); s.State() != Stopped || s.Err() == nil || s.SendText(nil) != ErrDown {
			t.Errorf("%v, %v", s.State(), s.Err())
		}
		if got := g.Stats(); got.Failed[FailedStatus] != 1 || got.Attempts != 1 {
			t.Errorf("%+v", got)
		}
	}
}

func TestARefusedClientCertificateIsPermanent(t *testing.T) {
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		for what, certificates := range map[string][]tls.Certificate{"missing": nil, "untrusted": {selfSigned(t)}} {
			t.Run(name+"/"+what, func(t *testing.T) {
				eachCarrier(t, func(t *testing.T, transport websock.Transport) {
					server := httptest.NewUnstartedServer(http.NotFoundHandler())
					server.Config.ErrorLog = log.New(io.Discard, "", 0)
					server.TLS = &tls.Config{MinVersion: version, MaxVersion: version, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}
					server.StartTLS()
					t.Cleanup(server.Close)
					roots := x509.NewCertPool()
					roots.AddCert(server.Certificate())
					targets := targetsFor(transport, "wss"+strings.TrimPrefix(server.URL, "https"))
					targets[0].Config.TLS = &tls.Config{RootCAs: roots, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
						if len(certificates) == 0 {
							return &tls.Certificate{}, nil
						}
						return &certificates[0], nil
					}}
					downs := make(chan error, 100)
					startGroup(t, Options{Targets: targets, OnDown: func(_ *Slot, err error, next time.Duration) {
						if next >= 0 {
							t.Errorf("dialed again after %v: %v", next, err)
						}
						downs <- err
					}})
					if err := <-downs; FailureOf(err) != FailedTLS || !Permanent(err) {
						t.Errorf("%q: %v", FailureOf(err), err)
					}
				})
			})
		}
	}
}

func TestFailureOfClassifiesFailedAttempts(t *testing.T) {
	server := newTestServer(t)
	timeout := websock.Config{Host: "a", Proxy: websock.NoProxy, Timeout: 20 * time.Millisecond}
	timeout.NetDial = func(ctx context.Context, _, _ string) (_ net.Conn, err error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	proxy, err := url.Parse(strings.Replace(statusServer(t, 502, nil), "ws", "http", 1))
	if err != nil {
		t.Fatal(err)
	}
	byProxy := websock.Config{Host: "a", Proxy: websock.ProxyURL(proxy)}
	noNames := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("there is no name server")
	}}
	plain := strings.TrimPrefix(server.url(), "ws")
	for want, target := range map[Failure]Target{
		FailedProxy:    {Config: byProxy},
		FailedStatus:   {URL: statusServer(t, 500, nil)},
		FailedConnect:  {URL: "ws://127.0.0.1:1/"},
		FailedResolve:  {URL: "ws://does-not-exist.invalid/", Config: websock.Config{Dialer: &net.Dialer{Resolver: noNames}}},
		FailedTLS:      {URL: "wss" + plain},
		FailedTimeout:  {Config: timeout},
		FailedProtocol: {URL: bannerServer(t, "SSH-2.0\r\n")},
		FailedSetUp:    {URL: server.url() + "setup"},
	} {
		t.Run(string(want), func(t *testing.T) {
			if target.Config.Proxy == nil {
				target.Config.Proxy = websock.NoProxy
			}
			failed := make(chan error, 100)
			startGroup(t, Options{
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

func TestFailureOfClassifiesLossesAndShutdown(t *testing.T) {
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
		{&DownError{AttemptFailed, context.Canceled}, FailedSetUp}, // from a context of Prepare's own
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

func TestOnDownGetsTheReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDialer(func(_ context.Context, _ string, n int) (net.Conn, error) {
			switch n {
			case 0:
				return nil, errRefused
			case 1:
				return servePipe(closeAfter(4000, time.Second)), nil
			}
			return servePipe(ignoreAll), nil
		})
		var reasons []Reason
		var kinds []Failure
		g, shutDown := startInBubble(t, Options{Targets: d.targets("a"), Ping: -1, OnDown: func(s *Slot, err error, next time.Duration) {
			reasons = append(reasons, ReasonOf(err))
			kinds = append(kinds, FailureOf(err))
			if s.Err() != err || (next < 0) != (ReasonOf(err) == ShutDown) {
				t.Errorf("%v, next %v; the slot says %v", err, next, s.Err())
			}
		}})
		time.Sleep(time.Minute)
		g.WaitUp(t.Context(), 1)
		shutDown()
		if want := []Reason{AttemptFailed, ConnectionLost, ShutDown}; !slices.Equal(reasons, want) {
			t.Errorf("%v, want %v", reasons, want)
		}
		if want := []Failure{FailedConnect, FailedLost, FailedShutdown}; !slices.Equal(kinds, want) {
			t.Errorf("%v, want %v", kinds, want)
		}
	})
}

func TestFailuresOverHTTP2(t *testing.T) {
	respond := func(st *h2.Stream, status string) {
		st.SendHead([]hpack.HeaderField{{Name: ":status", Value: status}}, true)
	}
	for name, test := range map[string]struct {
		request   func(st *h2.Stream, h h2.Head)
		want      Failure
		permanent bool
	}{
		"status":             {func(st *h2.Stream, _ h2.Head) { respond(st, "500") }, FailedStatus, false},
		"forbidden":          {func(st *h2.Stream, _ h2.Head) { respond(st, "403") }, FailedStatus, true},
		"refused":            {func(st *h2.Stream, _ h2.Head) { st.Reset(http2.ErrCodeRefusedStream) }, FailedRefused, false},
		"reset":              {func(st *h2.Stream, _ h2.Head) { st.Reset(http2.ErrCodeInternal) }, FailedRefused, false},
		"TLS is too weak":    {func(st *h2.Stream, _ h2.Head) { st.Reset(http2.ErrCodeInadequateSecurity) }, FailedRefused, true},
		"connection ended":   {func(st *h2.Stream, _ h2.Head) { st.Session().Close(http2.ErrCodeEnhanceYourCalm, nil) }, FailedRefused, false},
		"connection is weak": {func(st *h2.Stream, _ h2.Head) { st.Session().Close(http2.ErrCodeInadequateSecurity, nil) }, FailedRefused, true},
		"silent":             {func(*h2.Stream, h2.Head) {}, FailedTimeout, false},
		"malformed": {func(st *h2.Stream, _ h2.Head) {
			st.SendHead([]hpack.HeaderField{{Name: "x", Value: "no status"}}, true)
		}, FailedProtocol, false},
	} {
		t.Run(name, func(t *testing.T) {
			url := streamServer(t, test.request)
			targets := targetsFor(muxed{epoll.Transport(), newMux(t)}, url)
			if test.want == FailedTimeout {
				targets[0].Config.Timeout = 200 * time.Millisecond
			}
			failed := make(chan error, 1)
			g := startGroup(t, Options{
				Targets:   targets,
				Permanent: func(error) bool { return true }, // so that there is one attempt
				OnDown: func(_ *Slot, err error, _ time.Duration) {
					if ReasonOf(err) == AttemptFailed {
						failed <- err
					}
				},
			})
			err := <-failed
			if FailureOf(err) != test.want || Permanent(err) != test.permanent || g.Stats().Failed[test.want] != 1 {
				t.Errorf("%q, permanent %v: %v", FailureOf(err), Permanent(err), err)
			}
		})
	}
}

func TestFailuresOfConnectionsOfAMux(t *testing.T) {
	lost := serveConns(t, func(net.Conn) {})
	http1 := statusServer(t, 400, nil)
	for name, test := range map[string]struct {
		url       string
		transport websock.Transport
		want      Failure
		permanent bool
	}{
		"nobody there":          {"ws://127.0.0.1:1/", epoll.Transport(), FailedConnect, false},
		"lost":                  {lost, epoll.Transport(), FailedConnect, false},
		"HTTP/1.1":              {http1, epoll.Transport(), FailedProtocol, false},
		"no carrier for a Mux":  {lost, pullOnly{}, FailedProtocol, true},
		"TLS with a plain peer": {"wss" + strings.TrimPrefix(http1, "ws"), epoll.Transport(), FailedTLS, false},
	} {
		t.Run(name, func(t *testing.T) {
			failed := make(chan error, 1)
			startGroup(t, Options{
				Targets: targetsFor(muxed{test.transport, newMux(t)}, test.url),
				Backoff: Backoff{Base: time.Hour},
				OnDown:  func(_ *Slot, err error, _ time.Duration) { failed <- err },
			})
			if err := <-failed; FailureOf(err) != test.want || Permanent(err) != test.permanent {
				t.Errorf("%q, permanent %v: %v", FailureOf(err), Permanent(err), err)
			}
		})
	}
}
