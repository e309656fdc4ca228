package connect

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// A pipeListener accepts the server's ends of pipes, for tests in a bubble of testing/synctest, where only
// these can be used.
type pipeListener chan net.Conn

func (l pipeListener) Accept() (net.Conn, error) {
	conn, ok := <-l
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (l pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l pipeListener) Close() error {
	close(l)
	return nil
}

func (l pipeListener) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	l <- server
	return client, nil
}

func TestTheQuietTimeBeginsAnewWithEachPartOfAMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := make(pipeListener)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, err := websock.Accept(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			conn.RecvMessage(nil)
			for _, part := range []string{"p", "a", "r", "t", "s"} {
				op := websock.OpContinuation
				if part == "p" {
					op = websock.OpText
				}
				conn.SendFrame(op, part == "s", []byte(part))
				time.Sleep(2 * time.Second) // together longer than Wait
			}
			conn.RecvMessage(nil)
		})}
		go server.Serve(l)
		defer server.Close()
		var out, stderr bytes.Buffer
		begin := time.Now()
		outcome, err := Run(t.Context(), console.Streams{In: strings.NewReader("go\n"), Out: &out, Err: &stderr}, Options{
			URL: "ws://pipe/", Config: websock.Config{Proxy: websock.NoProxy, NetDial: l.dial},
			Wait: 3 * time.Second, Close: CloseStatus{Code: websock.CloseNormal},
		})
		if outcome != ClosedNormally || err != nil || out.String() != "parts\n" {
			t.Errorf("%v, %v: %q %q", outcome, err, out.String(), stderr.String())
		}
		if took := time.Since(begin); took != 11*time.Second {
			t.Errorf("the session ended after %v", took)
		}
	})
}
