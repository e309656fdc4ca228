package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

const path = "/api/v1/namespaces/default/pods/web"

// newPod starts a server that agrees to a protocol, and returns the pod that it stands for.
func newPod(t *testing.T, protocol string) (pod, *server) {
	leavesNoGoroutines(t)
	s := newServer("secret")
	s.options.Subprotocols = []string{protocol}
	s.options.Limits.CloseTimeout = time.Minute // a busy machine may need more than the default
	return pod{url: serveHTTP(t, s), token: "secret"}, s
}

// serveHTTP starts an HTTP server, and returns the URL of a pod there.
func serveHTTP(t *testing.T, handler http.Handler) string {
	listening := httptest.NewServer(handler)
	t.Cleanup(listening.Close)
	return "ws" + strings.TrimPrefix(listening.URL, "http") + path
}

// newPodOf starts a server that serves each connection with serve.
func newPodOf(t *testing.T, serve func(*websock.Conn)) pod {
	return pod{url: serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, &websock.AcceptOptions{
			Subprotocols: []string{protocolV5},
			Limits:       websock.Limits{CloseTimeout: time.Minute},
		})
		if err != nil {
			return
		}
		defer conn.Close()
		serve(conn)
	}))}
}

// newService serves each TCP connection to a port with serve, and returns the port.
func newService(t *testing.T, serve func(*net.TCPConn)) uint16 {
	listener := listen(t)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn.(*net.TCPConn))
			}()
		}
	}()
	return uint16(listener.Addr().(*net.TCPAddr).Port)
}

func listen(t *testing.T) net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// forwarded forwards a local address to a port of the pod until the test ends.
func forwarded(t *testing.T, p pod, port uint16) (addr string) {
	listener := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.forward(ctx, listener, port) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func dialTCP(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return conn.(*net.TCPConn)
}

// leavesNoGoroutines fails a test after which goroutines of it are left.
func leavesNoGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				stacks := make([]byte, 64<<10)
				t.Fatalf("goroutines are left:\n%s", stacks[:runtime.Stack(stacks, true)])
			}
		}
	})
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
