package netpair

import (
	"context"
	stdtls "crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/seed004e8d11/websock/transport/tls"
)

// SecuredBy returns a function that makes TLS connections of package transport/tls from the two ends
// of a connection, with the version of TLS given.
func SecuredBy(version uint16) func(t testing.TB, client, server net.Conn) (net.Conn, net.Conn) {
	return func(t testing.TB, client, server net.Conn) (net.Conn, net.Conn) {
		t.Helper()
		clientConfig, serverConfig := configs(version)
		secured := tls.Server(server, serverConfig)
		done := make(chan error, 1)
		go func() { done <- secured.Handshake() }()
		dialed, err := tls.Client(context.Background(), client, "example.com", clientConfig)
		if err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		return dialed, secured
	}
}

// SecuredByOthers is SecuredBy with connections of crypto/tls, which package transport/tls can't
// move to another transport.
func SecuredByOthers(version uint16) func(t testing.TB, client, server net.Conn) (net.Conn, net.Conn) {
	return func(t testing.TB, client, server net.Conn) (net.Conn, net.Conn) {
		t.Helper()
		clientConfig, serverConfig := configs(version)
		a, b := stdtls.Client(client, clientConfig), stdtls.Server(server, serverConfig)
		done := make(chan error, 1)
		go func() { done <- b.Handshake() }()
		if err := errors.Join(a.Handshake(), <-done); err != nil {
			t.Fatal(err)
		}
		return a, b
	}
}

// configs returns the configs of a client and a server that use one version of TLS.
func configs(version uint16) (client, server *stdtls.Config) {
	certificate, roots := issue()
	client = &stdtls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: version}
	server = &stdtls.Config{Certificates: []stdtls.Certificate{certificate}, MinVersion: version, MaxVersion: version}
	return client, server
}

// issue returns a certificate for example.com, and a pool that trusts it.
var issue = sync.OnceValues(func() (stdtls.Certificate, *x509.CertPool) {
	issuer := httptest.NewUnstartedServer(nil)
	issuer.StartTLS()
	defer issuer.Close()
	roots := x509.NewCertPool()
	roots.AddCert(issuer.Certificate())
	return issuer.TLS.Certificates[0], roots
})
