package h3_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/quic-go/quic-go/http3"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/h3"
)

// certificate returns what a server on this machine needs for TLS, and the roots for its clients.
func certificate() (*tls.Config, *x509.CertPool) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return http3.ConfigureTLSConfig(&tls.Config{Certificates: s.TLS.Certificates}), roots
}

// An echo server, and a client.
func Example() {
	config, roots := certificate()
	server := &http3.Server{
		TLSConfig: config,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			websock.Accept(w, r, &websock.AcceptOptions{
				Handler: websock.Messages(func(c *websock.Conn, op websock.Opcode, p []byte) {
					c.SendFrame(op, true, p)
				}, nil),
			})
		}),
	}
	h3.ConfigureServer(server)
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer udp.Close()
	go server.Serve(udp)
	defer server.Close()

	mux := &websock.Mux{HTTP3: &h3.Dialer{}} // for all Dials of a program
	defer mux.Close()
	c, err := websock.Dial(context.Background(), "wss://"+udp.LocalAddr().String(), &websock.Config{
		Mux: mux,
		TLS: &tls.Config{RootCAs: roots},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	c.SendText([]byte("Hello over QUIC"))
	_, msg, err := c.RecvMessage(nil)
	fmt.Println(string(msg), err, c.Close())
	// Output: Hello over QUIC <nil> <nil>
}
