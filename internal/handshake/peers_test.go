package handshake

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// scripted is a connection to a peer that sends the same whatever it receives, in two pieces. In
// response, ACCEPT stands for the Sec-WebSocket-Accept of the key that the peer received.
type scripted struct {
	net.Conn
	response string
	cut      int          // length of the first piece
	sent     int          // bytes of response
	received bytes.Buffer // what was written
}

func (s *scripted) Write(p []byte) (int, error) {
	s.received.Write(p)
	if _, after, ok := strings.Cut(string(p), "Sec-WebSocket-Key: "); ok {
		key, _, _ := strings.Cut(after, "\r\n")
		s.response = strings.ReplaceAll(s.response, "ACCEPT", acceptFor(key))
	}
	return len(p), nil
}

func (s *scripted) Read(p []byte) (int, error) {
	rest := s.unread()
	if s.sent < s.cut && s.cut < len(s.response) {
		rest = s.response[s.sent:s.cut]
	}
	if rest == "" {
		return 0, io.EOF
	}
	n := copy(p, rest)
	s.sent += n
	return n, nil
}

// unread returns what was not read yet.
func (s *scripted) unread() string { return s.response[s.sent:] }

func (s *scripted) SetDeadline(time.Time) error { return nil }

func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

// acceptFor computes the Sec-WebSocket-Accept of a key (RFC 6455 section 4.2.2).
func acceptFor(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// agreed is a response that completes the handshake. ACCEPT stands for the right value.
const agreed = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n"

// handshakeWith runs Client against a server that reads the request and then calls response with
// it.
func handshakeWith(t *testing.T, ctx context.Context, r *Request, response func(conn net.Conn, request *http.Request)) (*Result, error) {
	t.Helper()
	client, server := net.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		defer server.Close()
		request, err := http.ReadRequest(bufio.NewReader(server))
		if err != nil {
			t.Error(err)
			return
		}
		response(server, request)
	}()
	result, err := Client(ctx, client, r)
	client.Close()
	<-served
	return result, err
}

// replies returns a server that writes the response of a template, in pieces of the given size.
func replies(template string, size int) func(net.Conn, *http.Request) {
	return func(conn net.Conn, request *http.Request) {
		text := strings.ReplaceAll(template, "ACCEPT", acceptFor(request.Header.Get("Sec-WebSocket-Key")))
		for text != "" {
			n := min(size, len(text))
			if _, err := io.WriteString(conn, text[:n]); err != nil {
				return
			}
			text = text[n:]
		}
	}
}

// stalled is a server that sends a response whose body never ends.
func stalled(conn net.Conn, _ *http.Request) {
	io.WriteString(conn, "HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\nfirst")
	io.Copy(io.Discard, conn) // until the client closes
}

// noDeadlines is a connection that doesn't support deadlines.
type noDeadlines struct{ net.Conn }

func (noDeadlines) SetDeadline(time.Time) error { return errors.New("no deadlines here") }

// cancelsOnRead is a connection that cancels a context with each Read.
type cancelsOnRead struct {
	net.Conn
	cancel func()
}

func (c cancelsOnRead) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.cancel()
	return n, err
}

const (
	testKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	goodHeader = "Host: example.com\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + testKey + "\r\n"
)

// A server performs the handshake for a request and returns its response.
type server func(t *testing.T, o *ServerOptions, request string) (response *http.Response, body string, result *Result, err error)

// servers are the ways to perform the handshake.
var servers = map[string]server{"Accept": serveHTTP, "ServerConn": serveConn}

// serveHTTP performs it in an HTTP server.
func serveHTTP(t *testing.T, o *ServerOptions, request string) (response *http.Response, body string, result *Result, err error) {
	t.Helper()
	accepted := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(accepted)
		var conn net.Conn
		conn, result, err = Accept(w, r, o)
		if err == nil {
			conn.Close()
		}
	}))
	defer server.Close()
	conn, dialErr := net.Dial("tcp", server.Listener.Addr().String())
	if dialErr != nil {
		t.Fatal(dialErr)
	}
	defer conn.Close()
	io.WriteString(conn, request)
	response, body = readResponse(t, conn)
	<-accepted
	return response, body, result, err
}

// serveConn performs it over a connection.
func serveConn(t *testing.T, o *ServerOptions, request string) (response *http.Response, body string, result *Result, err error) {
	t.Helper()
	client, conn := net.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		defer conn.Close()
		result, _, err = ServerConn(t.Context(), conn, o)
	}()
	go io.WriteString(client, request)
	response, body = readResponse(t, client)
	client.Close()
	<-served
	return response, body, result, err
}

func readResponse(t *testing.T, conn net.Conn) (response *http.Response, body string) {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, _ := io.ReadAll(response.Body)
	return response, string(b)
}

// upgradeRequest returns a valid request as net/http parses it.
func upgradeRequest() *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	for line := range strings.Lines(goodHeader) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		r.Header.Set(name, value)
	}
	return r
}

// hijackable is an http.ResponseWriter that can be hijacked.
type hijackable struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

// tlsConn is a connection with the method of a *tls.Conn that returns its state.
type tlsConn struct{ net.Conn }

func (tlsConn) ConnectionState() tls.ConnectionState {
	return tls.ConnectionState{ServerName: "example.com"}
}

// tunnelThrough runs Tunnel against a proxy that answers as given.
func tunnelThrough(t *testing.T, ctx context.Context, r TunnelRequest, response func(net.Conn)) (*http.Request, error) {
	t.Helper()
	client, server := net.Pipe()
	var request *http.Request
	served := make(chan struct{})
	go func() {
		defer close(served)
		defer server.Close()
		var err error
		if request, err = http.ReadRequest(bufio.NewReader(server)); err == nil {
			response(server)
		}
	}()
	r.MaxSize = 1000
	err := Tunnel(ctx, client, &r)
	client.Close()
	<-served
	return request, err
}

// says returns a proxy that sends text.
func says(text string) func(net.Conn) {
	return func(conn net.Conn) { io.WriteString(conn, text) }
}
