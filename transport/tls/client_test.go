package tls

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptest"
	"testing"
	"time"
)

func TestConfigForLeavesTheCallersConfigAlone(t *testing.T) {
	own := &tls.Config{NextProtos: []string{"h2"}, Renegotiation: tls.RenegotiateFreelyAsClient}
	got := configFor("example.com", own)
	if got.ServerName != "example.com" || len(got.NextProtos) != 1 || got.NextProtos[0] != "http/1.1" || got.Renegotiation != tls.RenegotiateNever {
		t.Errorf("%q, %q, %v", got.ServerName, got.NextProtos, got.Renegotiation)
	}
	if own.ServerName != "" || own.NextProtos[0] != "h2" || own.Renegotiation != tls.RenegotiateFreelyAsClient {
		t.Error("the caller's config was written to")
	}
	if got := configFor("example.com", &tls.Config{ServerName: "other"}); got.ServerName != "other" {
		t.Errorf("ServerName %q, want the caller's", got.ServerName)
	}
}

func TestServerNameIsTheBareHost(t *testing.T) {
	for host, want := range map[string]string{
		"example.com": "example.com", "example.com.": "example.com",
		"[::1]": "::1", "fe80::1%eth0": "fe80::1", "127.0.0.1": "127.0.0.1",
	} {
		if got := configFor(host, nil).ServerName; got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}

func TestClientReportsABadCertificate(t *testing.T) {
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
