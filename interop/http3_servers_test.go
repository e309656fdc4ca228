package interop

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"github.com/seed004e8d11/websock"
)

// http3Servers are partners for our client over HTTP/3.
var http3Servers = []partner{
	{name: "websock behind Caddy", version: built("caddy"), opens: http3To(caddyHTTP3)},
	{name: "gobwas with quic-go", version: module("github.com/quic-go/quic-go"), opens: http3To(quicServer), notes: map[string]string{
		"compressed": "not offered",
	}},
	{name: "wsproto with aioquic", version: pythonPackage("aioquic"), opens: http3To(aioquicServer)},
}

// http3To starts a front. Its WebSockets are those of one Mux.
func http3To(start front) func(*testing.T, *certificate) opener {
	return func(t *testing.T, c *certificate) opener {
		backend := httptest.NewServer(http.HandlerFunc(websockEcho))
		t.Cleanup(backend.Close)
		url := "wss://" + start(t, folder(t), c, backend.Listener.Addr().String(), true)
		mux := http3Mux(t)
		trust := &tls.Config{RootCAs: c.roots}
		return func(t *testing.T, v variant) (*websock.Conn, error) {
			cfg := v.config(trust, "chat")
			cfg.Mux = mux
			return websock.Dial(t.Context(), url, cfg)
		}
	}
}

func caddyHTTP3(t *testing.T, dir string, c *certificate, backend string, secure bool) string {
	return startCaddy(t, dir, c, backend, secure, "h1 h2 h3")
}

// quicServer echoes with gobwas over the HTTP/3 of quic-go, of which it knows only the framing.
func quicServer(t *testing.T, _ string, c *certificate, _ string, _ bool) string {
	return startHTTP3(t, c, &http3.Server{Handler: http.HandlerFunc(gobwasQUICEcho), QUICConfig: patientHandshake})
}

func gobwasQUICEcho(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect || r.Proto != "websocket" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Sec-WebSocket-Protocol", r.Header.Get("Sec-WebSocket-Protocol"))
	w.WriteHeader(http.StatusOK)
	stream, err := w.(http3.HTTPStreamer).HTTPStream()
	if err != nil {
		return
	}
	gobwasEchoes(struct {
		io.Reader
		io.Writer
	}{stream, stream})
	stream.Close()
}

func aioquicServer(t *testing.T, _ string, c *certificate, _ string, _ bool) string {
	python := inVenv(t, "python3")
	return address(t, func(port string) *exec.Cmd {
		return exec.Command(python, "http3.py", "serve", port, c.files["cert"], c.files["key"])
	})
}
