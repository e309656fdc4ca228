package interop

import (
	"crypto/tls"
	"net"
	"net/http"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/h3"
)

// patientHandshake gives a peer that is slow the time to answer.
var patientHandshake = &quic.Config{HandshakeIdleTimeout: patience}

// http3Mux returns a Mux that uses nothing but HTTP/3.
func http3Mux(t *testing.T) *websock.Mux {
	mux := &websock.Mux{HTTP3: &h3.Dialer{Required: true, Timeout: patience, QUIC: patientHandshake}}
	t.Cleanup(mux.Close)
	return mux
}

// serveHTTP3 starts our server, and returns its host and port.
func serveHTTP3(t *testing.T, c *certificate, h http.Handler) string {
	t.Helper()
	s := &http3.Server{Handler: h, QUICConfig: patientHandshake}
	h3.ConfigureServer(s)
	return startHTTP3(t, c, s)
}

// startHTTP3 starts an HTTP/3 server of quic-go, and returns its host and port.
func startHTTP3(t *testing.T, c *certificate, s *http3.Server) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.TLSConfig = http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{c.tls}})
	go s.Serve(conn)
	t.Cleanup(func() {
		s.Close()
		conn.Close()
	})
	return conn.LocalAddr().String()
}
