package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/report"
)

func TestFanoutSharesHTTP2Connections(t *testing.T) {
	cert, key := writeCertificate(t)
	for client := range transports {
		for _, serverFlags := range [][]string{{"-h2c"}, {"-tls-cert", cert, "-tls-key", key}} {
			t.Run(fmt.Sprint(client, serverFlags[:1]), func(t *testing.T) {
				url, _ := startServer(t, serverFlags...)
				for _, window := range []string{"1", "500"} {
					r, got := runFanout(t, "-h2", "-streams", "8", "-url", url, "-transport", client, "-ca", cert, "-n", "20", "-duration", "100ms", "-size", "1000", "-window", window)
					if got.code != 0 || got.err != "" || r.Connections != 20 || r.Sent != r.Received || r.Sent == 0 {
						t.Errorf("window %s: %+v", window, got)
					}
					if r.StreamsAsked != 8 || r.HTTP2 == nil || *r.HTTP2 != (report.HTTP2{Connections: 3, Streams: 20}) {
						t.Errorf("window %s: %+v", window, r.HTTP2)
					}
				}
			})
		}
	}
}

func TestFanoutStartsItsOwnHTTP2Server(t *testing.T) {
	const streams = websock.DefaultStreamsPerConn
	for _, test := range []struct {
		args        []string
		connections int64
	}{
		{nil, (600 + streams - 1) / streams},
		{[]string{"-tls"}, (600 + streams - 1) / streams},
		{[]string{"-streams", "600"}, 1}, // more than a server allows by default
		{[]string{"-procs", "2"}, 2 * (300 + streams - 1) / streams},
		{[]string{"-compress", "-text"}, (600 + streams - 1) / streams},
	} {
		r, got := runFanout(t, append([]string{"-h2", "-n", "600", "-duration", "100ms"}, test.args...)...)
		if got.code != 0 || got.err != "" || r.Connections != 600 || r.Sent != r.Received {
			t.Errorf("%v: %+v", test.args, got)
		}
		if r.HTTP2 == nil || r.HTTP2.Streams != 600 || r.HTTP2.HTTP1 != 0 || r.HTTP2.Connections < test.connections {
			t.Errorf("%v: %+v", test.args, r.HTTP2)
		}
	}
}

func TestReportsTellConnectionsFromWebSockets(t *testing.T) {
	url, _ := startServer(t, "-h2c")
	file := filepath.Join(t.TempDir(), "out.html")
	got := command(t.Context(), "", "fanout", "-h2", "-streams", "5", "-url", url, "-n", "10", "-duration", "100ms", "-report", file)
	page, err := os.ReadFile(file)
	if !strings.Contains(string(page), "WebSockets by state") {
		t.Error("the chart is of connections")
	}
	if got.code != 0 || err != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, want := range []string{
		"HTTP/2, up to 5 WebSockets a connection", "10 of 10", "TCP connections", "2 with HTTP/2 for 10 WebSockets",
		"client CPU per WebSocket opened", "memory per idle WebSocket", "in flight on each WebSocket",
	} {
		for name, text := range map[string]string{"table": got.out, "page": string(page)} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in the %s\n%s", want, name, text)
			}
		}
	}
}

// startServerWithHTTP1 starts an echo server with TLS that speaks HTTP/1.1 only, and returns its URL and
// flags to trust it.
func startServerWithHTTP1(t *testing.T) (url string, trust []string) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		echoChanged(conn, func(op websock.Opcode, _ []byte) websock.Opcode { return op })
	}))
	t.Cleanup(server.Close)
	return "wss" + strings.TrimPrefix(server.URL, "https"), []string{"-insecure"}
}

func TestFanoutTellsThatTheServerHasNoHTTP2(t *testing.T) {
	url, trust := startServerWithHTTP1(t)
	args := append([]string{"-h2", "-n", "10", "-duration", "100ms", "-url", url}, trust...)
	r, got := runFanout(t, args...)
	if got.code != 0 || r.Sent != r.Received || *r.HTTP2 != (report.HTTP2{HTTP1: 10}) {
		t.Errorf("%+v %+v", got, r.HTTP2)
	}
	got = command(t.Context(), "", append([]string{"fanout"}, args...)...)
	if got.code != 0 || !strings.Contains(got.out, "HTTP/1.1: the server offers no WebSockets over HTTP/2") || !strings.Contains(got.out, "10 with HTTP/1.1\n") {
		t.Errorf("%+v", got)
	}
	shared, _ := startServer(t, "-tls")
	got = command(t.Context(), "", append([]string{"fanout", "-url", shared}, args...)...)
	for _, want := range []string{"HTTP/2, up to 100 WebSockets a connection; HTTP/1.1 for 5 WebSockets", "1 with HTTP/2 for 5 WebSockets, 5 with HTTP/1.1\n"} {
		if got.code != 0 || !strings.Contains(got.out, want) {
			t.Errorf("no %q in %+v", want, got)
		}
	}
}

// startHTTP2Server starts a server with cleartext HTTP/2, and returns its URL.
func startHTTP2Server(t *testing.T, overHTTP2 *websock.HTTP2Server, handler http.HandlerFunc) string {
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	if err := overHTTP2.Configure(server.Config); err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(overHTTP2.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

func TestFanoutCountsFailuresOverHTTP2ByKind(t *testing.T) {
	for kind, after := range map[string]func(overHTTP2 *websock.HTTP2Server, conn *websock.Conn){
		"stream reset CANCEL": func(_ *websock.HTTP2Server, conn *websock.Conn) { conn.Abort(nil) },
		"close code 4321":     func(_ *websock.HTTP2Server, conn *websock.Conn) { conn.CloseWith(4321, "") },
		"connection lost":     func(overHTTP2 *websock.HTTP2Server, _ *websock.Conn) { overHTTP2.Close() },
	} {
		var overHTTP2 websock.HTTP2Server
		url := startHTTP2Server(t, &overHTTP2, func(w http.ResponseWriter, r *http.Request) {
			conn, err := websock.Accept(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			conn.RecvMessage(nil)
			after(&overHTTP2, conn)
		})
		r, got := runFanout(t, "-h2", "-url", url, "-n", "3", "-duration", "100ms", "-timeout", "1m")
		if got.code != 1 || r.Errors[kind] != 3 || len(r.Errors) != 1 || r.ErrorsTotal != 3 {
			t.Errorf("%s: %+v", kind, got)
		}
	}
	teapot := startHTTP2Server(t, new(websock.HTTP2Server), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	if r, got := runFanout(t, "-h2", "-url", teapot, "-n", "3"); got.code != 1 || r.Errors["handshake status 418"] != 3 {
		t.Errorf("%+v", got)
	}
}

// All that share a connection are lost with it.
func TestFanoutReconnectsOverHTTP2(t *testing.T) {
	var overHTTP2 websock.HTTP2Server
	var accepted, again atomic.Int32
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	url := startHTTP2Server(t, &overHTTP2, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		number := accepted.Add(1)
		if number == 3 {
			overHTTP2.Close()
			return
		}
		first := true
		echoChanged(conn, func(op websock.Opcode, _ []byte) websock.Opcode {
			if number > 3 && first && again.Add(1) == 3 {
				interrupt()
			}
			first = false
			return op
		})
	})
	r, got := runFanoutUntil(t, ctx, "-h2", "-url", url, "-n", "3", "-reconnect", "-duration", "1m")
	if got.code != 130 || r.ErrorsTotal != 3 || accepted.Load() != 6 || r.Received == 0 {
		t.Errorf("%d WebSockets, %+v", accepted.Load(), got)
	}
}

// Without TLS there is no way to ask.
func TestFanoutByPriorKnowledgeNeedsAServerWithHTTP2(t *testing.T) {
	url, _ := startServer(t)
	r, got := runFanout(t, "-h2", "-n", "3", "-url", url)
	if got.code != 1 || r.Errors["handshake failed"] != 3 || !strings.Contains(r.FirstErrors["handshake failed"], "the peer speaks HTTP/1.1") {
		t.Errorf("%+v", got)
	}
}
