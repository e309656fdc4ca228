package main

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// The server echoes ten times the message, in two writes: one byte of the header, then the rest.
func TestTheDemonstrationReceivesWhatComesInPieces(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, &websock.AcceptOptions{Transport: dripping{}})
		if err != nil {
			return
		}
		defer conn.Close()
		if got := r.Header.Get("X-Device"); got != "demo" {
			t.Errorf("X-Device: %q", got)
		}
		op, msg, err := conn.RecvMessage(nil)
		if err != nil {
			t.Error(err)
			return
		}
		conn.SendFrame(op, true, bytes.Repeat(msg, 10))
		conn.RecvMessage(nil)
	}))
	defer server.Close()
	addr := server.Listener.Addr().(*net.TCPAddr)
	var out strings.Builder
	if err := demonstrate(&out, "127.0.0.1", addr.Port); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"the header is incomplete\n",
		"fin true, text, ",
		" bytes of 190: ",
		"nothing yet\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q lacks %q", out.String(), want)
		}
	}
	payload := ""
	for line := range strings.Lines(out.String()) {
		if _, text, ok := strings.Cut(line, " bytes of 190: "); ok {
			payload += strings.TrimSuffix(text, "\n")
		}
	}
	if want := strings.Repeat("Hello from a device", 10); payload != want {
		t.Errorf("received %q", payload)
	}
}

const pause = 150 * time.Millisecond // longer than the demonstration waits
