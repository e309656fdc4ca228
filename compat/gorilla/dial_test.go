package websocket

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock"
)

// greeter sends "hello" to everybody, over HTTP/1.1 and, if its server speaks that, HTTP/2.
var greeter = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	var upgrader Upgrader
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	c.WriteMessage(TextMessage, []byte("hello"))
	c.ReadMessage() // until the client has closed
})

func greeting(t *testing.T, c *Conn) {
	t.Helper()
	if _, p, err := c.ReadMessage(); string(p) != "hello" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
}

func TestDialersDialOverTLS(t *testing.T) {
	server := httptest.NewTLSServer(greeter)
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	secure := &tls.Config{RootCAs: roots}
	var called string
	dial := func(network, addr string) (net.Conn, error) {
		called = network + " " + addr
		return net.Dial(network, addr)
	}
	host := server.Listener.Addr().String()
	for name, test := range map[string]struct {
		dialer *Dialer
		called string
	}{
		"TLSClientConfig": {&Dialer{TLSClientConfig: secure}, ""},
		"NetDial":         {&Dialer{TLSClientConfig: secure, NetDial: dial}, "tcp " + host},
		"NetDialContext": {&Dialer{TLSClientConfig: secure, NetDialContext: func(_ context.Context, network, addr string) (net.Conn, error) {
			return dial(network, addr)
		}}, "tcp " + host},
		"NetDialTLSContext": {&Dialer{NetDialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			called = network + " " + addr
			return (&tls.Dialer{Config: secure}).DialContext(ctx, network, addr)
		}}, "tcp " + host},
	} {
		called = ""
		c, _, err := test.dialer.Dial("wss://"+host, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		greeting(t, c)
		c.Close()
		if called != test.called {
			t.Errorf("%s: dialed %q, want %q", name, called, test.called)
		}
	}
	var unknown x509.UnknownAuthorityError
	if _, _, err := new(Dialer).Dial("wss://"+host, nil); !errors.As(err, &unknown) {
		t.Errorf("without the root: %v", err)
	}
}

func TestTheProxyIsAskedForTheURLOfAPage(t *testing.T) {
	refused := errors.New("no proxy today")
	for scheme, want := range map[string]string{"ws": "http", "wss": "https"} {
		type key struct{}
		ctx := context.WithValue(t.Context(), key{}, scheme)
		var asked *http.Request
		d := Dialer{Proxy: func(r *http.Request) (*url.URL, error) {
			asked = r
			return nil, refused
		}}
		_, _, err := d.DialContext(ctx, scheme+"://server.example/path?q", http.Header{"Host": {"other.example"}})
		if !errors.Is(err, refused) || asked.URL.String() != want+"://server.example/path?q" {
			t.Errorf("%s: asked for %v, %v", scheme, asked.URL, err)
		}
		if asked.Context().Value(key{}) != scheme || asked.Host != "other.example" {
			t.Errorf("%s: asked with the context %v and the host %q", scheme, asked.Context(), asked.Host)
		}
	}
}

// serveOverHTTP2 serves h, and returns the URL and the Config that a client needs to use HTTP/2.
func serveOverHTTP2(t *testing.T, h http.Handler) (url string, cfg *websock.Config) {
	server := httptest.NewUnstartedServer(h)
	if err := websock.ConfigureServer(server.Config); err != nil {
		t.Fatal(err)
	}
	server.EnableHTTP2 = true
	server.TLS = server.Config.TLSConfig
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	mux := &websock.Mux{}
	t.Cleanup(func() { mux.Close() })
	return "wss" + strings.TrimPrefix(server.URL, "https"), &websock.Config{Mux: mux, TLS: &tls.Config{RootCAs: roots}}
}

func TestUpgradersAcceptWebSocketsOverHTTP2(t *testing.T) {
	url, cfg := serveOverHTTP2(t, greeter)
	ws, err := websock.Dial(t.Context(), url, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if ws.TLS().NegotiatedProtocol != "h2" {
		t.Errorf("negotiated %q", ws.TLS().NegotiatedProtocol)
	}
	if _, msg, err := ws.RecvMessage(nil); string(msg) != "hello" || err != nil {
		t.Errorf("%q, %v", msg, err)
	}
}

func TestAPeerOverHTTP2GetsTheAnswerToItsCloseFrame(t *testing.T) {
	url, cfg := serveOverHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var upgrader Upgrader
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		written := make(chan struct{})
		go func() {
			defer close(written)
			for c.WriteMessage(TextMessage, []byte("chatter")) == nil {
			}
		}()
		if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseGoingAway) {
			t.Error(err)
		}
		c.Close()
		<-written
	}))
	for range 30 {
		peer, err := websock.Dial(t.Context(), url, cfg)
		if err != nil {
			t.Fatal(err)
		}
		peer.SendClose(websock.CloseGoingAway, "")
		for err == nil {
			_, _, err = peer.RecvMessage(nil)
		}
		var closed *websock.CloseError
		if !errors.As(err, &closed) || closed.Err != websock.ErrClosed {
			t.Errorf("the peer got no answer: %v", err)
		}
		peer.Close()
	}
}
