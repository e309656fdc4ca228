package fanout

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

func TestABroadcastOverTLS(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		const slots, rounds = 10, 10
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			websock.Accept(w, r, &websock.AcceptOptions{Handler: websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
				c.SendFrame(op, true, msg)
			}, nil)})
		}))
		t.Cleanup(server.Close)
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		targets := over(transport, "wss"+strings.TrimPrefix(server.URL, "https"))
		targets[0].Config.TLS = &tls.Config{RootCAs: roots}
		var came atomic.Int32
		g := begun(t, Options{
			Targets:   targets,
			Size:      slots,
			OnMessage: func(*Slot, websock.Opcode, []byte) { came.Add(1) },
		})
		allUp(t, g)
		for range rounds {
			if d := g.Broadcast(websock.OpBinary, make([]byte, 1000)); d.Sent != slots {
				t.Errorf("%+v", d)
			}
		}
		eventually(t, "all echoes", func() bool { return came.Load() == slots*rounds })
	})
}

// selfSigned returns a certificate that nobody trusts.
func selfSigned(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestARefusedClientCertificateIsPermanent(t *testing.T) {
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		for what, certificates := range map[string][]tls.Certificate{"missing": nil, "untrusted": {selfSigned(t)}} {
			t.Run(name+"/"+what, func(t *testing.T) {
				eachTransport(t, func(t *testing.T, transport websock.Transport) {
					server := httptest.NewUnstartedServer(http.NotFoundHandler())
					server.Config.ErrorLog = log.New(io.Discard, "", 0)
					server.TLS = &tls.Config{MinVersion: version, MaxVersion: version, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}
					server.StartTLS()
					t.Cleanup(server.Close)
					roots := x509.NewCertPool()
					roots.AddCert(server.Certificate())
					targets := over(transport, "wss"+strings.TrimPrefix(server.URL, "https"))
					targets[0].Config.TLS = &tls.Config{RootCAs: roots, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
						if len(certificates) == 0 {
							return &tls.Certificate{}, nil
						}
						return &certificates[0], nil
					}}
					downs := make(chan error, 100)
					begun(t, Options{Targets: targets, OnDown: func(_ *Slot, err error, next time.Duration) {
						if next >= 0 {
							t.Errorf("dialled again after %v: %v", next, err)
						}
						downs <- err
					}})
					if err := <-downs; FailureOf(err) != FailedTLS || !Permanent(err) {
						t.Errorf("%q: %v", FailureOf(err), err)
					}
				})
			})
		}
	}
}
