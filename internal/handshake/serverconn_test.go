package handshake

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock/engine"
)

func TestServerConnReturnsTheRequest(t *testing.T) {
	script := &scripted{answer: "GET /chat?room=1 HTTP/1.1\r\n" + goodHeader + "Cookie: a=b\r\n\r\n"}
	_, r, err := ServerConn(t.Context(), script, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.RequestURI != "/chat?room=1" || r.Host != "example.com" || r.Header.Get("Cookie") != "a=b" || r.Context() != t.Context() {
		t.Errorf("%+v", r)
	}
}

func TestRequestsMayBeCutAnywhere(t *testing.T) {
	request := "GET / HTTP/1.1\r\n" + goodHeader + "\r\n"
	frames := "\x81\x80mask"
	for cut := range len(request + frames) {
		script := &scripted{answer: request + frames, cut: cut}
		result, _, err := ServerConn(t.Context(), script, nil)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if got := string(result.Early) + script.unread(); got != frames {
			t.Fatalf("cut at %d: %q", cut, got)
		}
		if string(result.RawHeader) != goodHeader {
			t.Fatalf("cut at %d: header lines %q", cut, result.RawHeader)
		}
	}
}

func TestServerConnRefusesWhatAnHTTPServerWould(t *testing.T) {
	get := "GET / HTTP/1.1\r\n"
	for _, test := range []struct {
		name, request string
		status        int
		cause         error
	}{
		{"no request line", "\r\n\r\n", 400, nil},
		{"another protocol", "SSH-2.0-x\r\n\r\n", 400, nil},
		{"space after a name", get + strings.Replace(goodHeader, "Upgrade:", "Upgrade :", 1) + "\r\n", 400, nil},
		{"NUL in a value", get + goodHeader + "X: \x00\r\n\r\n", 400, nil},
		{"two hosts", get + goodHeader + "Host: h\r\n\r\n", 400, nil},
		{"malformed host", get + strings.Replace(goodHeader, "example.com", "a/b", 1) + "\r\n", 400, nil},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, nil},
		{"too much", get + strings.Repeat("X: x\r\n", 1000), 431, &engine.LimitError{Limit: "HandshakeSize", Max: 1000, Code: engine.ClosePolicyViolation}},
		{"nothing", "", 0, io.ErrUnexpectedEOF},
		{"end within the header", get + goodHeader, 0, io.ErrUnexpectedEOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			script := &scripted{answer: test.request}
			_, _, err := ServerConn(t.Context(), script, &ServerOptions{MaxSize: 1000})
			var failed *HandshakeError
			if !errors.As(err, &failed) || failed.Status != test.status {
				t.Fatalf("%v, want status %d", err, test.status)
			}
			if (script.told.Len() == 0) != (test.status == 0) {
				t.Errorf("answered %q", script.told.String())
			}
			var limit *engine.LimitError
			switch want := test.cause.(type) {
			case *engine.LimitError:
				if !errors.As(err, &limit) || *limit != *want {
					t.Error(err)
				}
			case error:
				if !errors.Is(err, want) {
					t.Error(err)
				}
			}
		})
	}
}

func TestServerConnEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, test := range map[string]struct {
			bound func(context.Context) (context.Context, context.CancelFunc)
			want  []error
		}{
			"timeout": {func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, time.Second)
			}, []error{context.DeadlineExceeded, os.ErrDeadlineExceeded}},
			"cancellation": {func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(time.Second, cancel)
				return ctx, cancel
			}, []error{context.Canceled}},
		} {
			for _, sent := range []string{"GET / HT", "GET / HTTP/1.1\r\n" + goodHeader + "\r\n"} { // incomplete; answer not read
				ctx, cancel := test.bound(t.Context())
				client, server := net.Pipe()
				go io.WriteString(client, sent)
				_, _, err := ServerConn(ctx, server, nil)
				for _, want := range test.want {
					if !errors.Is(err, want) {
						t.Errorf("%s: %v", name, err)
					}
				}
				client.Close()
				server.Close()
				cancel()
			}
		}
	})
}

func TestServerConnIsInterruptedEvenByALateCancellation(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	script := &scripted{answer: "GET / HTTP/1.1\r\n" + goodHeader + "\r\n"}
	_, _, err := ServerConn(ctx, canceling{script, cancel}, nil)
	if !errors.As(err, new(*HandshakeError)) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// secured is a connection that knows of TLS.
type secured struct{ net.Conn }

func (secured) ConnectionState() tls.ConnectionState {
	return tls.ConnectionState{ServerName: "example.com"}
}

func TestServerConnKnowsOfTLS(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	go func() {
		io.WriteString(client, "GET / HTTP/1.1\r\n"+goodHeader+"Origin: http://example.com\r\n\r\n")
		io.Copy(io.Discard, client)
	}()
	_, _, err := ServerConn(t.Context(), secured{server}, &ServerOptions{CheckRequest: func(r *http.Request) error {
		t.Error("a page without TLS is of the same origin")
		return nil
	}})
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Status != http.StatusForbidden {
		t.Error(err)
	}
	server.Close()
}
