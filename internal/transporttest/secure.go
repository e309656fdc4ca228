package transporttest

import (
	"context"
	stdtls "crypto/tls"
	"crypto/x509"
	"net"
	"net/http/httptest"
	"testing"

	"github.com/seed004e8d11/websock/transport/tls"
)

// SecuredBy returns what Suite.Secure wants: TLS of one version, by package transport/tls.
func SecuredBy(version uint16) func(t testing.TB, client, server net.Conn) (net.Conn, net.Conn) {
	return func(t testing.TB, client, server net.Conn) (net.Conn, net.Conn) {
		t.Helper()
		issuer := httptest.NewUnstartedServer(nil) // for its certificate, which is for example.com
		issuer.StartTLS()
		defer issuer.Close()
		roots := x509.NewCertPool()
		roots.AddCert(issuer.Certificate())
		accepted := tls.Server(server, &stdtls.Config{
			Certificates: issuer.TLS.Certificates,
			MinVersion:   version,
			MaxVersion:   version,
		})
		shaken := make(chan error, 1)
		go func() { shaken <- accepted.Handshake() }()
		dialled, err := tls.Client(context.Background(), client, "example.com", &stdtls.Config{RootCAs: roots, MinVersion: version})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-shaken; err != nil {
			t.Fatal(err)
		}
		return dialled, accepted
	}
}
