package websock

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport"
)

func TestDialOverTLS(t *testing.T) {
	var agreed, name string
	url, roots := tlsServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		agreed, name = r.TLS.NegotiatedProtocol, r.TLS.ServerName
		echo(t, nil)(w, r)
	}), nil)
	config := &tls.Config{RootCAs: roots}
	before := config.Clone()
	_, port, _ := strings.Cut(strings.TrimPrefix(url, "wss://"), ":")
	cfg := &Config{TLS: config, NetDial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
	}}
	c, err := Dial(t.Context(), "wss://example.com:"+port, cfg) // a name in the server's certificate
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	if agreed != "http/1.1" || name != "example.com" {
		t.Errorf("ALPN %q, SNI %q", agreed, name)
	}
	if config.ServerName != before.ServerName || config.NextProtos != nil || config.RootCAs != roots {
		t.Error("the caller's tls.Config was written to")
	}
}

func TestTLSFailuresAreHandshakeErrors(t *testing.T) {
	url, roots := tlsServer(t, echo(t, nil), nil)
	_, err := Dial(t.Context(), url, nil)
	var unknown *tls.CertificateVerificationError
	if !errors.As(err, new(*HandshakeError)) || !errors.As(err, &unknown) {
		t.Errorf("unknown authority: %v", err)
	}
	_, err = Dial(t.Context(), url, &Config{TLS: &tls.Config{RootCAs: roots, ServerName: "other.example"}})
	var wrongName x509.HostnameError
	if !errors.As(err, new(*HandshakeError)) || !errors.As(err, &wrongName) {
		t.Errorf("wrong name: %v", err)
	}
	plain := server(t, echo(t, nil))
	if _, err = Dial(t.Context(), "wss"+strings.TrimPrefix(plain, "ws"), nil); !errors.As(err, new(*HandshakeError)) {
		t.Errorf("no TLS there: %v", err)
	}
}

func TestTLSWithClientCertificate(t *testing.T) {
	url, roots := tlsServer(t, echo(t, nil), &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12})
	if c, err := Dial(t.Context(), url, &Config{TLS: &tls.Config{RootCAs: roots}}); err == nil {
		c.Close()
		t.Error("connected without a certificate")
	}
	own := httptest.NewUnstartedServer(nil)
	own.StartTLS()
	defer own.Close()
	c, err := Dial(t.Context(), url, &Config{TLS: &tls.Config{RootCAs: roots, Certificates: own.TLS.Certificates}})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
}

func TestTLSCarriesLargeMessages(t *testing.T) {
	url, roots := tlsServer(t, echo(t, nil), nil)
	c, err := Dial(t.Context(), url, &Config{TLS: &tls.Config{RootCAs: roots}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want := bytes.Repeat([]byte("0123456789"), 200000)
	sent := make(chan error, 1)
	go func() { sent <- c.SendBinary(want) }()
	if _, got, err := c.RecvMessage(nil); !bytes.Equal(got, want) || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestTimeoutsOverTLSLoseNothing(t *testing.T) {
	const drip = "drip"
	url, roots := tlsServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for _, b := range []byte(drip) {
			if _, _, err := c.RecvMessage(nil); err != nil {
				t.Error(err)
				return
			}
			c.SendFrame(OpBinary, true, []byte{b})
		}
	}), nil)
	c, err := Dial(t.Context(), url, &Config{TLS: &tls.Config{RootCAs: roots}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got []byte
	buf := make([]byte, 10)
	for len(got) < len(drip) {
		if _, _, err := c.RecvTimeout(buf, time.Millisecond); !errors.Is(err, ErrTimeout) {
			t.Fatalf("before the server was asked: %v", err)
		}
		c.SendText([]byte("next"))
		for more := len(got) + 1; len(got) < more; {
			_, n, err := c.RecvTimeout(buf, time.Millisecond)
			if err != nil && !errors.Is(err, ErrTimeout) {
				t.Fatal(err)
			}
			got = append(got, buf[:n]...)
		}
	}
	if string(got) != drip {
		t.Errorf("%q", got)
	}
}

func TestConnTLSReturnsTheStateInBothRoles(t *testing.T) {
	states := make(chan *tls.ConnectionState, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		states <- c.TLS()
		c.RecvMessage(nil)
	})
	secure, roots := tlsServer(t, handler, nil)
	cfg := &Config{TLS: &tls.Config{RootCAs: roots}}
	for range 2 {
		c, err := Dial(t.Context(), secure, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if state := c.TLS(); state == nil || state.Version < tls.VersionTLS12 || len(state.PeerCertificates) == 0 {
			t.Errorf("client: %+v", state)
		}
		if state := <-states; state == nil || !state.HandshakeComplete {
			t.Errorf("server: %+v", state)
		}
		c.Close()
		if c.TLS() == nil {
			t.Error("after Close it is forgotten")
		}
	}
	c, err := Dial(t.Context(), server(t, handler), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if state := <-states; state != nil || c.TLS() != nil {
		t.Error("there is TLS without TLS")
	}
}

func TestTLSSessionsAreResumedByDefault(t *testing.T) {
	target, roots := tlsServer(t, echo(t, nil), nil)
	cfg := &Config{TLS: &tls.Config{RootCAs: roots}}
	for i, want := range []bool{false, true} {
		c, err := Dial(t.Context(), target, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.TLS().DidResume; got != want {
			t.Errorf("connection %d: resumed %v", i, got)
		}
		roundTrip(t, c)
	}
}

func TestDialTLSReplacesCryptoTLS(t *testing.T) {
	handler := http.NewServeMux()
	handler.Handle("/", echo(t, nil))
	target, roots := tlsServer(t, handler, nil)
	handler.Handle("/away", http.RedirectHandler("/here", http.StatusFound))
	addr := strings.TrimPrefix(target, "wss://")
	config := &tls.Config{RootCAs: roots, ServerName: "example.com"}
	connect := map[string]func(ctx context.Context, network, addr string) (net.Conn, error){
		"a handshake done": func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&tls.Dialer{Config: config}).DialContext(ctx, network, addr)
		},
		"a handshake to be done": func(ctx context.Context, network, _ string) (net.Conn, error) {
			conn, err := net.Dial(network, addr)
			return tls.Client(conn, config), err
		},
		"no deadlines": func(ctx context.Context, network, _ string) (net.Conn, error) {
			conn, err := net.Dial(network, addr)
			return tls.Client(netpair.WithoutDeadlines(conn), config), err
		},
	}
	for name, dial := range connect {
		asked := ""
		cfg := &Config{
			MaxRedirects: 1,
			Proxy:        func(*url.URL) (*url.URL, error) { return nil, errors.New("a proxy was looked for") },
			NetDial: func(context.Context, string, string) (net.Conn, error) {
				return nil, errors.New("NetDial was called")
			},
			DialTLS: func(ctx context.Context, network, addr string) (net.Conn, error) {
				asked += network + " " + addr + ";"
				return dial(ctx, network, addr)
			},
		}
		c, err := Dial(t.Context(), "wss://feed.example/away", cfg)
		if err != nil {
			t.Error(name, err)
			continue
		}
		if state := c.TLS(); state == nil || !state.HandshakeComplete || state.ServerName != "example.com" {
			t.Errorf("%s: TLS %+v", name, state)
		}
		roundTrip(t, c)
		if asked != "tcp feed.example:443;tcp feed.example:443;" {
			t.Errorf("%s: asked for %s", name, asked)
		}
	}
}

func TestDialTLSMayUseAnyLibrary(t *testing.T) {
	target, roots := tlsServer(t, echo(t, nil), nil)
	c, err := Dial(t.Context(), target, &Config{DialTLS: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := tls.Dial(network, addr, &tls.Config{RootCAs: roots})
		return unknownTLS{conn}, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	if c.TLS() != nil {
		t.Error("TLS is known")
	}
	roundTrip(t, c)
}

func TestDialTLSFailures(t *testing.T) {
	target, roots := tlsServer(t, echo(t, nil), &tls.Config{NextProtos: []string{"h2", "http/1.1"}})
	plain := strings.TrimPrefix(server(t, echo(t, nil)), "ws://")
	silent := rawServer(t, sends(""))
	for name, test := range map[string]struct {
		dial func(context.Context, string, string) (net.Conn, error)
		is   error
		says string
	}{
		"an error":            {func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrNoProgress }, io.ErrNoProgress, ""},
		"ignores its context": {func(context.Context, string, string) (net.Conn, error) { <-t.Context().Done(); return nil, io.EOF }, context.DeadlineExceeded, ""},
		"no TLS there": {func(context.Context, string, string) (net.Conn, error) {
			conn, err := net.Dial("tcp", plain)
			return tls.Client(conn, &tls.Config{ServerName: "h"}), err
		}, nil, "can't connect"},
		"a silent server": {func(context.Context, string, string) (net.Conn, error) {
			conn, err := net.Dial("tcp", silent)
			return tls.Client(conn, &tls.Config{ServerName: "h"}), err
		}, context.DeadlineExceeded, "can't connect"},
		"a silent connection that Close doesn't end": {func(context.Context, string, string) (net.Conn, error) {
			return tls.Client(unclosable{until: t.Context().Done()}, &tls.Config{ServerName: "h"}), nil
		}, context.DeadlineExceeded, "can't connect"},
		"another protocol": {func(_ context.Context, network, _ string) (net.Conn, error) {
			return tls.Dial(network, strings.TrimPrefix(target, "wss://"), &tls.Config{RootCAs: roots, NextProtos: []string{"h2"}})
		}, nil, `"h2"`},
	} {
		timeout := time.Minute
		if test.is == context.DeadlineExceeded {
			timeout = 200 * time.Millisecond
		}
		mustReturn(t, name, func() {
			_, err := Dial(t.Context(), "wss://h/", &Config{Timeout: timeout, DialTLS: test.dial})
			if !errors.As(err, new(*HandshakeError)) || !strings.Contains(err.Error(), test.says) || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

func TestTLSFactoryAttachesTLSConnections(t *testing.T) {
	plain := server(t, echo(t, nil))
	secure, roots := tlsServer(t, echo(t, nil), nil)
	var a tlsAttacher
	for _, url := range []string{plain, secure} {
		c, err := Dial(t.Context(), url, &Config{TLS: &tls.Config{RootCAs: roots}, Transport: &a})
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, c)
	}
	if len(a.plain) != 1 || len(a.secured) != 1 {
		t.Fatalf("attached %d plain and %d TLS connections", len(a.plain), len(a.secured))
	}
	if _, ok := a.secured[0].(*tls.Conn); !ok {
		t.Errorf("AttachTLS got a %T", a.secured[0])
	}
}

func TestTLSFactoryMayDeclineTLSConnections(t *testing.T) {
	secure, roots := tlsServer(t, echo(t, nil), nil)
	a := tlsAttacher{tlsErr: transport.ErrUnsupported}
	c, err := Dial(t.Context(), secure, &Config{TLS: &tls.Config{RootCAs: roots}, Transport: &a})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	if len(a.plain) != 0 || len(a.secured) != 1 || c.TLS() == nil {
		t.Errorf("attached %d plain and %d TLS connections, state %v", len(a.plain), len(a.secured), c.TLS())
	}
}

func TestReservationsAttachTLSConnections(t *testing.T) {
	secure, roots := tlsServer(t, echo(t, nil), nil)
	var a tlsAttacher
	c, err := Dial(t.Context(), secure, &Config{TLS: &tls.Config{RootCAs: roots}, Transport: tlsReserver{&a}})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	if len(a.plain) != 0 || len(a.secured) != 1 {
		t.Errorf("attached %d plain and %d TLS connections", len(a.plain), len(a.secured))
	}
}
