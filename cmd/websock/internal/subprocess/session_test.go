//go:build unix

package subprocess

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// Whoever ends the context may close the connection later than the command ends.
func TestTheEndOfTheContextClosesWithGoingAway(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := Options{Args: []string{"cat"}, MaxLine: 100, Grace: time.Minute, Stderr: io.Discard}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		o.Serve(ctx, conn, r)
	}))
	defer server.Close()
	conn, err := websock.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SendText([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, msg, err := conn.RecvMessage(nil); err != nil || string(msg) != "hello" {
		t.Fatalf("%q, %v", msg, err)
	}
	cancel()
	_, _, err = conn.RecvMessage(nil)
	var closed *websock.CloseError
	if !errors.As(err, &closed) || closed.Local || closed.Code != websock.CloseGoingAway {
		t.Error(err)
	}
}
