package websock

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"syscall"
	"testing"

	"github.com/seed004e8d11/websock/transport"
)

// A failingStreamDialer is a transport.StreamDialer that reaches no server.
type failingStreamDialer struct {
	err   error
	asked []transport.StreamTarget
}

func (d *failingStreamDialer) DialStreams(_ context.Context, to transport.StreamTarget) (transport.StreamSession, error) {
	d.asked = append(d.asked, to)
	return nil, d.err
}

func TestAServerWithoutHTTP3IsAskedForOthers(t *testing.T) {
	errUDP := errors.New("no answer over UDP")
	dialNet := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	for _, test := range []struct {
		name  string
		err   error
		cfg   Config
		http2 bool // the server speaks it
		asked int  // of two Dials
		fails bool // with err
	}{
		{name: "once", err: fmt.Errorf("%w: %w", transport.ErrUnsupported, errUDP), asked: 1},
		{name: "each time that it was not asked", err: fmt.Errorf("%w: %w", transport.ErrNotAsked, errUDP), http2: true, asked: 2},
		{name: "once, also with HTTP/2", err: fmt.Errorf("%w: %w", transport.ErrUnsupported, errUDP), http2: true, asked: 1},
		{name: "and fails, as demanded", err: errUDP, asked: 2, fails: true},
		{name: "not at all with NetDial", err: errUDP, cfg: Config{NetDial: dialNet}},
		{name: "not at all with a Control", err: errUDP, cfg: Config{Dialer: &net.Dialer{Control: func(string, string, syscall.RawConn) error { return nil }}}},
		{name: "not at all with DialTLS", err: errUDP, cfg: Config{DialTLS: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}}).DialContext(ctx, network, addr)
		}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c, err := Accept(w, r, nil); err == nil {
					c.Close()
				}
			}))
			if test.http2 {
				if err := ConfigureServer(s.Config); err != nil {
					t.Fatal(err)
				}
				s.TLS = s.Config.TLSConfig
			}
			s.StartTLS()
			defer s.Close()
			dialer := &failingStreamDialer{err: test.err}
			mux := &Mux{HTTP3: dialer, StreamsPerConn: 1}
			defer mux.Close()
			cfg := test.cfg
			cfg.Mux, cfg.TLS = mux, &tls.Config{InsecureSkipVerify: true}
			cfg.Proxy = func(*url.URL) (*url.URL, error) { return nil, nil }
			for range 2 {
				c, err := Dial(t.Context(), s.URL, &cfg)
				var failed *HandshakeError
				switch {
				case !test.fails && err != nil:
					t.Fatal(err)
				case !test.fails:
					defer c.Abort(nil) // another Dial doesn't use the connection
				case !errors.Is(err, errUDP) || !errors.As(err, &failed) || failed.Host == "":
					t.Error(err)
				}
			}
			if len(dialer.asked) != test.asked {
				t.Errorf("asked %d times for HTTP/3, want %d", len(dialer.asked), test.asked)
			}
			for _, to := range dialer.asked {
				if to.Host != "127.0.0.1" || to.TLS.NextProtos[0] != "h3" || to.MaxStreams != 1 || to.MaxHeaderBytes != DefaultHandshakeSize {
					t.Errorf("%+v", to)
				}
			}
		})
	}
}
