package handshake

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock/engine"
)

func TestErrorsSayWhatHappened(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{&HandshakeError{Reason: "no answer"}, "websock: handshake: no answer"},
		{&HandshakeError{Reason: "declined", Status: 407, Proxy: "p:1"}, "websock: handshake: proxy p:1: declined (HTTP status 407)"},
		{&HandshakeError{Reason: "declined", Status: 407, Host: "h:443", Proxy: "p:1"}, "websock: handshake with h:443: proxy p:1: declined (HTTP status 407)"},
		{&HandshakeError{Reason: "declined", Status: 400, Host: "h:443", Body: []byte("\r\n token expired \r\nmore")}, `websock: handshake with h:443: declined (HTTP status 400): "token expired"`},
		{&HandshakeError{Reason: "declined", Status: 400, Body: []byte("\x1b[2J\u202eevil")}, `websock: handshake: declined (HTTP status 400): "\x1b[2J\u202eevil"`},
		{&HandshakeError{Reason: "declined", Status: 400, Body: []byte("\x1f\x8b\x08\xff")}, "websock: handshake: declined (HTTP status 400)"},
		{&HandshakeError{Reason: "declined", Status: 400, Body: []byte("declined\n")}, "websock: handshake: declined (HTTP status 400)"},
		{&HandshakeError{Reason: "declined", Body: []byte(strings.Repeat("é", 150))}, `websock: handshake: declined: "` + strings.Repeat("é", 100) + `…"`},
		{&HandshakeError{Reason: "declined", Body: []byte("x" + strings.Repeat("é", 150))}, `websock: handshake: declined: "x` + strings.Repeat("é", 99) + `…"`},
		{&HandshakeError{Reason: "declined", Body: []byte(strings.Repeat("\x80", 1000))}, "websock: handshake: declined"},
		{&HandshakeError{Reason: "declined", Err: errors.New(strings.Repeat("é", 1000))}, "websock: handshake: declined: " + strings.Repeat("é", 512) + "…"},
		{&HandshakeError{Reason: "declined", Err: errors.New(strings.Repeat("\x80", 2000))}, "websock: handshake: declined: " + strings.Repeat("\x80", 1020) + "…"},
		{&HandshakeError{Reason: "too large", Err: &engine.LimitError{Limit: "HandshakeSize", Max: 1}}, "websock: handshake: too large: limit HandshakeSize of 1 exceeded"},
		{&HandshakeError{Reason: "declined", Status: 403, Header: http.Header{}, Err: io.EOF}, "websock: handshake: declined (HTTP status 403): EOF"},
	}
	for _, test := range tests {
		if got := test.err.Error(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

func TestAHandshakeErrorWrapsItsCause(t *testing.T) {
	if !errors.Is(&HandshakeError{Err: io.EOF}, io.EOF) {
		t.Error("a HandshakeError hides its cause")
	}
}
