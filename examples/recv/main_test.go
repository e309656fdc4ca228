package main

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/std"
)

// The server echoes ten times the message, in two writes: one byte of the header, and the rest when the client has
// waited for it in vain.
func TestReceivesAMessageInPieces(t *testing.T) {
	out := &output{waited: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, &websock.AcceptOptions{Transport: splitWrites{out.waited}})
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
	if err := demonstrate(out, "127.0.0.1", addr.Port); err != nil {
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

// An output is that of the demonstration. waited is closed when a timeout follows a part of a header.
type output struct {
	strings.Builder
	waited chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	if strings.HasSuffix(o.String(), "the header is incomplete\n") && string(p) == "nothing yet\n" {
		close(o.waited)
	}
	return o.Builder.Write(p)
}

// splitWrites makes transports that write the first byte, and the rest when the client has waited.
type splitWrites struct{ waited <-chan struct{} }

func (s splitWrites) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	return std.New(splitWriter{conn, s.waited}, early), nil
}

type splitWriter struct {
	net.Conn
	waited <-chan struct{}
}

func (w splitWriter) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p[:1])
	if err != nil || len(p) == 1 {
		return n, err
	}
	<-w.waited
	m, err := w.Conn.Write(p[1:])
	return n + m, err
}
