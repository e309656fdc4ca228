package netpair

import (
	"context"
	stdtls "crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptest"
	"testing"

	"github.com/seed004e8d11/websock/transport/tls"
)

// SecuredBy returns a function that turns the two ends of a connection into those of a TLS
// connection of one version, by package transport/tls. It is what transporttest.Suite.Secure wants.
func SecuredBy(version uint16) func(t testing.TB, client, server net.Conn) (net.Conn, net.Conn) {
	return func(t testing.TB, client, server net.Conn) (net.Conn, net.Conn) {
		t.Helper()
		clientConfig, serverConfig := configs(version)
		accepted := tls.Server(server, serverConfig)
		shaken := make(chan error, 1)
		go func() { shaken <- accepted.Handshake() }()
		dialled, err := tls.Client(context.Background(), client, "example.com", clientConfig)
		if err != nil {
			t.Fatal(err)
		}
		if err := <-shaken; err != nil {
			t.Fatal(err)
		}
		return dialled, accepted
	}
}

// SecuredByOthers is SecuredBy with connections of crypto/tls that can't be moved.
func SecuredByOthers(version uint16) func(t testing.TB, client, server net.Conn) (net.Conn, net.Conn) {
	return func(t testing.TB, client, server net.Conn) (net.Conn, net.Conn) {
		t.Helper()
		clientConfig, serverConfig := configs(version)
		accepted, dialled := stdtls.Server(server, serverConfig), stdtls.Client(client, clientConfig)
		shaken := make(chan error, 1)
		go func() { shaken <- accepted.Handshake() }()
		if err := errors.Join(dialled.Handshake(), <-shaken); err != nil {
			t.Fatal(err)
		}
		return dialled, accepted
	}
}

// configs returns those of a client and a server that speak one version.
func configs(version uint16) (client, server *stdtls.Config) {
	issuer := httptest.NewUnstartedServer(nil) // for its certificate, which is for example.com
	issuer.StartTLS()
	defer issuer.Close()
	roots := x509.NewCertPool()
	roots.AddCert(issuer.Certificate())
	client = &stdtls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: version}
	server = &stdtls.Config{Certificates: issuer.TLS.Certificates, MinVersion: version, MaxVersion: version}
	return client, server
}
