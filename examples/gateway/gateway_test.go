package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

func TestBrowsersShareASubscription(t *testing.T) {
	u := newUpstream(t)
	_, url := newTestGateway(t, u, nil)
	upstream := <-u.conns
	a, b, c := open(t, url), open(t, url), open(t, url)
	a.ask(request{Subscribe: "x"})
	u.asked(t, "+x")
	upstream.SendText([]byte(message("x", 1)))
	a.expect(message("x", 1))
	b.ask(request{Subscribe: "x"})
	b.expect(message("x", 1)) // at once, since it is known
	b.ask(request{Subscribe: "x"})
	c.ask(request{Subscribe: "y"})
	u.asked(t, "+y") // and x not again
	upstream.SendText([]byte(message("x", 2)))
	upstream.SendText([]byte(message("y", 3)))
	a.expect(message("x", 2))
	b.expect(message("x", 2))
	c.expect(message("y", 3)) // and not x

	a.ask(request{Unsubscribe: "x"})
	a.ask(request{Unsubscribe: "x"})
	a.ask(request{Unsubscribe: "unknown"})
	a.ask(request{Subscribe: "z"})
	u.asked(t, "+z") // x is still wanted
	b.conn.Close()
	u.asked(t, "-x")
	if conn := len(u.conns); conn != 0 {
		t.Errorf("%d more connections to the upstream", conn)
	}
}

func TestBrowsersStayWhenTheUpstreamIsLost(t *testing.T) {
	u := newUpstream(t)
	_, url := newTestGateway(t, u, nil)
	p := open(t, url)
	p.ask(request{Subscribe: "x"})
	u.asked(t, "+x")
	for range 3 {
		(<-u.conns).Abort(nil)
		p.expect(`{"upstream":"down"}`)
		p.expect(`{"upstream":"up"}`)
		u.asked(t, "+x")
	}
	(<-u.conns).SendText([]byte(message("x", 1)))
	p.expect(message("x", 1))
}

func TestSimulatedUpstreamSendsWhatIsWanted(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(simulate))
	defer server.Close()
	_, url := newTestGateway(t, &upstream{url: webSocketURL(server)}, nil)
	p := open(t, url)
	p.ask(request{Subscribe: "x"})
	for range 2 {
		if got := p.next(); !strings.HasPrefix(got, `{"topic":"x","value":`) {
			t.Error(got)
		}
	}
}

// Topics that are wanted and no longer wanted while there is no upstream.
func TestTopicsChangeWhileTheUpstreamIsDown(t *testing.T) {
	u := newUpstream(t)
	g, url := newTestGateway(t, u, nil)
	<-u.conns
	p := open(t, url)
	p.ask(request{Subscribe: "x"})
	u.asked(t, "+x")
	g.upstream.Slot(0).Stop()
	p.expect(`{"upstream":"down"}`)
	p.ask(request{Unsubscribe: "x"})
	p.ask(request{Subscribe: "y"})
	waitUntil(t, "the topics have changed", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.topics["x"] == nil && g.topics["y"] != nil
	})
	g.upstream.Slot(0).Resume()
	u.asked(t, "+y")
	p.expect(`{"upstream":"up"}`)
	(<-u.conns).SendText([]byte(message("y", 1)))
	p.expect(message("y", 1))
}

func TestOnlyOwnPagesThatAreLoggedInConnect(t *testing.T) {
	_, url := newTestGateway(t, newUpstream(t), nil)
	host := strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/socket")
	for what, test := range map[string]struct {
		header http.Header
		status int
	}{
		"no cookie":     {http.Header{}, http.StatusUnauthorized},
		"another token": {http.Header{"Cookie": {"token=guess"}}, http.StatusUnauthorized},
		"another site":  {http.Header{"Cookie": {"token=" + token}, "Origin": {"http://evil.example"}}, http.StatusForbidden},
		"its own page":  {http.Header{"Cookie": {"token=" + token}, "Origin": {"http://" + host}}, 0},
	} {
		conn, err := websock.Dial(t.Context(), url, &websock.Config{Header: test.header})
		var refused *websock.HandshakeError
		if err == nil {
			conn.Close()
		}
		if errors.As(err, &refused) && refused.Status != test.status || (err == nil) != (test.status == 0) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestPageLogsIn(t *testing.T) {
	g, _ := newTestGateway(t, newUpstream(t), nil)
	server := httptest.NewServer(g)
	defer server.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Jar: jar}
	for _, step := range []struct {
		query string
		want  int
	}{{"", http.StatusUnauthorized}, {"?token=guess", http.StatusUnauthorized}, {"?token=" + token, http.StatusOK}, {"", http.StatusOK}} {
		response, err := client.Get(server.URL + "/" + step.query)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != step.want {
			t.Errorf("%q: %s", step.query, response.Status)
		}
	}
}

func TestRequestsThatMakeNoSenseAndTooManyEndTheConnection(t *testing.T) {
	u := newUpstream(t)
	_, url := newTestGateway(t, u, func(l *limits) { l.each, l.topics = 2, 3 })
	other := open(t, url)
	other.ask(request{Subscribe: "shared"})
	u.asked(t, "+shared")
	for what, requests := range map[string][]string{
		"no JSON":                {`subscribe x`},
		"neither":                {`{}`},
		"both":                   {`{"subscribe":"a","unsubscribe":"b"}`},
		"too many of a browser":  {`{"subscribe":"a"}`, `{"subscribe":"shared"}`, `{"subscribe":"b"}`},
		"too many of all":        {`{"subscribe":"a"}`, `{"subscribe":"b"}`, `{"subscribe":"c"}`},
		"too long for a request": {`{"subscribe":"` + strings.Repeat("a", 5000) + `"}`},
	} {
		p := open(t, url)
		for _, r := range requests {
			p.conn.SendText([]byte(r))
		}
		p.conn.SetRecvDeadline(time.Now().Add(time.Minute))
		_, msg, err := p.conn.RecvMessage(nil)
		var closed *websock.CloseError
		if !errors.As(err, &closed) || closed.Code != websock.ClosePolicyViolation && closed.Code != websock.CloseMessageTooBig {
			t.Errorf("%s: %q, %v", what, msg, err)
		}
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	_, url := newTestGateway(t, newUpstream(t), func(l *limits) { l.browsers = 1 })
	open(t, url)
	conn, err := websock.Dial(t.Context(), url, &websock.Config{Header: cookie()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var closed *websock.CloseError
	if _, _, err := conn.RecvMessage(nil); !errors.As(err, &closed) || closed.Code != websock.CloseTryAgainLater {
		t.Error(err)
	}
}

func TestShutdownTellsBrowsers(t *testing.T) {
	u := newUpstream(t)
	g, url := newTestGateway(t, u, nil)
	pages := []testPage{open(t, url), open(t, url)}
	received := make(chan error, len(pages))
	for _, p := range pages {
		go func() {
			_, _, err := p.conn.RecvMessage(nil)
			received <- err
		}()
	}
	if err := g.shutdown(within(t)); err != nil {
		t.Error(err)
	}
	for range pages {
		var closed *websock.CloseError
		if err := <-received; !errors.As(err, &closed) || closed.Code != websock.CloseGoingAway {
			t.Error(err)
		}
	}
}

func TestServerOfHTTP2StopsAfterItsBrowsers(t *testing.T) {
	g, _ := newTestGateway(t, newUpstream(t), nil)
	server := httptest.NewUnstartedServer(g)
	if err := websock.ConfigureServer(server.Config); err != nil {
		t.Fatal(err)
	}
	server.TLS = server.Config.TLSConfig
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	mux := &websock.Mux{}
	defer mux.Close()
	conn, err := websock.Dial(t.Context(), webSocketURL(server)+"/socket", &websock.Config{
		Header: cookie(),
		TLS:    &tls.Config{RootCAs: roots},
		Mux:    mux,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if protocol := conn.TLS().NegotiatedProtocol; protocol != "h2" {
		t.Fatal(protocol)
	}
	if _, _, err := conn.RecvMessage(nil); err != nil { // the gateway has the browser
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- stopServing(within(t), server.Config, g) }()
	for err == nil {
		_, _, err = conn.RecvMessage(nil)
	}
	var closed *websock.CloseError
	if !errors.As(err, &closed) || closed.Code != websock.CloseGoingAway {
		t.Error(err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestShutdownCutsOffBrowsersThatDoNotAnswer(t *testing.T) {
	g, url := newTestGateway(t, newUpstream(t), nil)
	open(t, url) // and never receive
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := g.shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
