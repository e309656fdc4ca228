package tls

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed004e8d11/websock/internal/leak"
)

// TestMain checks for leaked goroutines. netpoll's pollers never end.
func TestMain(m *testing.M) {
	leak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/cloudwego/netpoll.(*defaultPoll).Wait"))
}

// identity returns a certificate for example.com, and a pool with its issuer.
var identity = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
})

// configs returns the configs of a client and a server that use only one version of TLS.
func configs(version uint16) (client, server *tls.Config) {
	certificate, roots := identity()
	client = &tls.Config{RootCAs: roots, MinVersion: version, MaxVersion: version}
	server = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: version, MaxVersion: version}
	return client, server
}

// connect returns the two ends of a connection in memory that uses one version of TLS. The server
// sends no session tickets, of which the client's handshake could have read any part.
func connect(t testing.TB, version uint16) (client, server *tls.Conn) {
	t.Helper()
	clientConfig, serverConfig := configs(version)
	serverConfig.SessionTicketsDisabled = true
	return handshake(t, clientConfig, serverConfig)
}

// handshake returns the two ends of a connection in memory after the handshake.
func handshake(t testing.TB, clientConfig, serverConfig *tls.Config) (client, server *tls.Conn) {
	t.Helper()
	a, b := memPipe()
	server = Server(b, serverConfig)
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	client, err := Client(t.Context(), a, "example.com", clientConfig)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return client, server
}

// move moves conn to a fakeTransport.
func move(t testing.TB, conn *tls.Conn, early []byte) (*Conn, *fakeTransport) {
	t.Helper()
	under, ok := NetConn(conn)
	if !ok {
		t.Fatal("NetConn returned false")
	}
	m := newFakeTransport(under.(*memConn))
	c, err := New(conn, m, early)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, m
}

func eachVersion(t *testing.T, f func(t *testing.T, version uint16)) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) { f(t, version) })
	}
}
