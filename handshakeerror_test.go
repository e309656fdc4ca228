package websock

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock/engine"
)

func TestAnErrorShowsTheHostAndWhatTheServerSays(t *testing.T) {
	url := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "token expired", http.StatusBadRequest)
	}))
	addr := strings.TrimPrefix(url, "ws://")
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "who are you?", http.StatusProxyAuthRequired)
	}))
	defer proxy.Close()
	for want, dial := range map[string]func() error{
		"websock: handshake with " + addr + `: the server declines (HTTP status 400): "token expired"`: func() error {
			_, err := Dial(t.Context(), url, nil)
			return err
		},
		"websock: handshake with feed.example:443: proxy " + proxy.Listener.Addr().String() + `: the proxy declines (HTTP status 407): "who are you?"`: func() error {
			_, err := Dial(t.Context(), "wss://feed.example", &Config{Proxy: by(proxy.URL)})
			return err
		},
		"websock: handshake with " + addr + ": the response is too large: limit HandshakeSize of 10 exceeded": func() error {
			_, err := Dial(t.Context(), url, &Config{Limits: engine.Limits{HandshakeSize: 10}})
			return err
		},
	} {
		err := dial()
		var failed *HandshakeError
		if !errors.As(err, &failed) || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	_, err := Dial(t.Context(), "ws://127.0.0.1:1", nil)
	if text := err.Error(); strings.Count(text, "websock:") != 1 || !strings.HasPrefix(text, "websock: handshake with 127.0.0.1:1: can't connect: ") {
		t.Error(text)
	}
}
