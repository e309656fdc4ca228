package tls

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"
)

func TestClientReportsBadCertificate(t *testing.T) {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	conn, err := net.DialTimeout("tcp", s.Listener.Addr().String(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var bad *tls.CertificateVerificationError
	if _, err := Client(t.Context(), conn, "example.com", nil); !errors.As(err, &bad) {
		t.Error(err)
	}
}

// serve runs an http.Server on a listener of NewListener, and returns its address.
func serve(t *testing.T, config *tls.Config, handler http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go server.Serve(NewListener(l, config))
	t.Cleanup(func() { server.Close() })
	return l.Addr().String()
}

func dial(t *testing.T, addr string, config *tls.Config) *tls.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	secured, err := Client(t.Context(), conn, "example.com", config)
	if err != nil {
		t.Fatal(err)
	}
	return secured
}

func TestUnmovedConnectionIsOrdinary(t *testing.T) {
	clientConfig, serverConfig := configs(tls.VersionTLS13)
	addr := serve(t, serverConfig, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
	})
	http1 := &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
		return dial(t, addr, clientConfig), nil
	}}
	defer http1.CloseIdleConnections()
	for range 2 {
		resp, err := (&http.Client{Transport: http1}).Get("https://example.com/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Error(resp.Status)
		}
	}
	conn := dial(t, addr, clientConfig)
	if addr := conn.RemoteAddr().String(); addr == conn.LocalAddr().String() {
		t.Error("LocalAddr and RemoteAddr are equal")
	}
	for name, set := range map[string]func(time.Time) error{"SetDeadline": conn.SetDeadline, "SetReadDeadline": conn.SetReadDeadline} {
		set(time.Now())
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		set(time.Time{})
	}
	conn.SetWriteDeadline(time.Now())
	if _, err := conn.Write(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if err := conn.Close(); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

func TestNewListenerDoesNotModifyConfig(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, config := configs(tls.VersionTLS13)
	secured := NewListener(l, config)
	if len(config.NextProtos) != 0 {
		t.Error("it was modified")
	}
	secured.Close()
	if _, err := secured.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	config.NextProtos = []string{"h2", "http/1.1"}
	if got := NewListener(l, config).(*listener).config.NextProtos; len(got) != 2 {
		t.Errorf("protocols %q, want the caller's", got)
	}
}
