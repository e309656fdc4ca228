package interop

import (
	"net"
	"net/http"
	"testing"

	"github.com/seed004e8d11/websock"
)

func serveSecureHTTP2(t *testing.T, c *certificate, h http.Handler) string {
	return serveHTTP2(t, c, true, h)
}

// serveHTTP2 starts our server, with TLS or for HTTP/2 with prior knowledge, and returns its host and
// port.
func serveHTTP2(t *testing.T, c *certificate, secure bool, h http.Handler) string {
	t.Helper()
	s := &http.Server{Handler: h, Protocols: new(http.Protocols)}
	s.Protocols.SetHTTP2(secure)
	s.Protocols.SetUnencryptedHTTP2(!secure)
	if err := websock.ConfigureServer(s); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if secure {
		go s.ServeTLS(l, c.files["cert"], c.files["key"])
	} else {
		go s.Serve(l)
	}
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}
