package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

func TestConnectInAPipe(t *testing.T) {
	url, _ := serving(t)
	for _, args := range [][]string{{}, {"-binary"}} {
		args = append([]string{"connect", "-wait", "200ms"}, append(args, url)...)
		got := command(t.Context(), "one\ntwo\r\n\nlast", args...)
		if got.code != 0 || got.out != "one\ntwo\n\nlast\n" || got.err != "closed by us: 1000 (normal closure)\n" {
			t.Errorf("%+v", got)
		}
	}
}

func TestConnectSendsOnlyUTF8AsText(t *testing.T) {
	url, _ := serving(t)
	got := command(t.Context(), "good\nb\xffd\n", "connect", "-wait", "100ms", url)
	if got.code != 1 || got.out != "good\n" || !strings.Contains(got.err, "not UTF-8") {
		t.Errorf("%+v", got)
	}
	got = command(t.Context(), "b\xffd\n", "connect", "-binary", "-wait", "100ms", url)
	if got.code != 0 || got.out != "b\xffd\n" {
		t.Errorf("%+v", got)
	}
}

func TestConnectKeepsWaitingWithinALongMessage(t *testing.T) {
	url := badServer(t, func(conn *engine.Conn) {
		conn.RecvMessage(nil)
		for _, part := range []string{"p", "a", "r", "t", "s"} {
			op := engine.OpContinuation
			if part == "p" {
				op = engine.OpText
			}
			conn.SendFrame(op, part == "s", []byte(part))
			time.Sleep(60 * time.Millisecond)
		}
		conn.RecvMessage(nil)
	})
	got := command(t.Context(), "go\n", "connect", "-wait", "100ms", url)
	if got.code != 0 || got.out != "parts\n" {
		t.Errorf("%+v", got)
	}
}

func TestConnectShowsHowThePeerCloses(t *testing.T) {
	for code, exit := range map[engine.CloseCode]int{engine.CloseNormal: 0, engine.CloseGoingAway: 0, engine.CloseInternalError: 1, 4000: 1} {
		url := badServer(t, func(conn *engine.Conn) {
			conn.RecvMessage(nil)
			conn.CloseWith(code, "enough")
		})
		got := command(t.Context(), "x\n", "connect", url)
		if got.code != exit || !strings.Contains(got.err, code.String()+": enough") {
			t.Errorf("%v: %+v", code, got)
		}
	}
}

func TestInterruptClosesTheConnection(t *testing.T) {
	url, _ := serving(t)
	ctx := interruptedAfter(t, 100*time.Millisecond)
	stdin, keep := io.Pipe()
	defer keep.Close()
	var out, stderr bytes.Buffer
	if code := run(ctx, []string{"connect", url}, stdin, &out, &stderr); code != 0 {
		t.Errorf("%d %s", code, stderr.String())
	}
}

func TestConnectExplainsARefusal(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", "Basic realm=here")
		http.Error(w, "who are you, "+r.Header.Get("X-Name")+"?", http.StatusUnauthorized)
	}))
	defer server.Close()
	got := command(t.Context(), "", "connect", "-header", "X-Name: nobody", "ws"+strings.TrimPrefix(server.URL, "http"))
	for _, text := range []string{"HTTP 401 Unauthorized", "Www-Authenticate: Basic realm=here", "who are you, nobody?"} {
		if got.code != 1 || !strings.Contains(got.err, text) {
			t.Errorf("no %q in %+v", text, got)
		}
	}
}

func TestConnectOffersSubprotocols(t *testing.T) {
	agreed := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, &websock.AcceptOptions{Subprotocols: []string{"second"}})
		if err != nil {
			t.Error(err)
			return
		}
		agreed <- conn.Subprotocol()
		conn.Close()
	}))
	defer server.Close()
	got := command(t.Context(), "", "connect", "-subprotocol", "first", "-subprotocol", "second", "ws"+strings.TrimPrefix(server.URL, "http"))
	if name := <-agreed; name != "second" || got.code != 0 {
		t.Errorf("%q %+v", name, got)
	}
}
