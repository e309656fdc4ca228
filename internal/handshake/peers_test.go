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
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
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

func (tlsConn) ConnectionState() tls.ConnectionState { return testState }

// testState is the state of a TLS connection.
var testState = tls.ConnectionState{ServerName: "example.com"}

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

// connectRequest returns a valid request of HTTP/2 as net/http parses it.
func connectRequest() *http.Request {
	return &http.Request{
		Method: "CONNECT", RequestURI: "/chat?room=1", Proto: "HTTP/2.0", ProtoMajor: 2,
		Host: "example.com", RemoteAddr: "192.0.2.1:1234", Body: http.NoBody, ContentLength: -1,
		Header: http.Header{":protocol": {"websocket"}, "Sec-Websocket-Version": {"13"}},
	}
}

// streamWriter is an http.ResponseWriter whose stream can be taken. The stream is a string.
type streamWriter struct {
	*httptest.ResponseRecorder
	status int         // given to TakeStream
	header http.Header // likewise
	err    error       // what TakeStream returns
}

func (w *streamWriter) TakeStream(status int, header http.Header) (string, error) {
	w.status, w.header = status, header
	return "stream", w.err
}

// wrappedWriter is an http.ResponseWriter of middleware that says what it wraps. It can't be flushed.
type wrappedWriter struct{ http.ResponseWriter }

func (w wrappedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// stalledWriter is an http.ResponseWriter whose client takes nothing until a deadline passes.
type stalledWriter struct {
	*httptest.ResponseRecorder
	writing chan struct{} // closed by the first Write
	expired chan struct{} // closed by a deadline that has passed
}

func newStalledWriter() *stalledWriter {
	return &stalledWriter{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
}

func (w *stalledWriter) Write([]byte) (int, error) {
	close(w.writing)
	<-w.expired
	return 0, os.ErrDeadlineExceeded
}

func (w *stalledWriter) SetWriteDeadline(t time.Time) error {
	if !t.IsZero() && t.Before(time.Now()) {
		close(w.expired)
	}
	return nil
}

// timedWriter is an http.ResponseWriter with the deadlines that were set last.
type timedWriter struct {
	*httptest.ResponseRecorder
	read, write time.Time
	flushedBy   time.Time // the deadline of a Flush
}

func (w *timedWriter) SetReadDeadline(t time.Time) error {
	w.read = t
	return nil
}

func (w *timedWriter) SetWriteDeadline(t time.Time) error {
	w.write = t
	return nil
}

func (w *timedWriter) FlushError() error {
	w.flushedBy = w.write
	return nil
}

// brokenWriter is an http.ResponseWriter whose client is gone.
type brokenWriter struct{ *httptest.ResponseRecorder }

func (brokenWriter) FlushError() error { return io.ErrClosedPipe }

// checkHeaderIs checks that a header has these values, several of one name joined by commas, and no others.
func checkHeaderIs(t *testing.T, got http.Header, want map[string]string) {
	t.Helper()
	for name, values := range got {
		if want[name] != strings.Join(values, ",") {
			t.Errorf("header %s: %q, want %q", name, values, want[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d headers, want %d: %v", len(got), len(want), got)
	}
}

// streamBody is a ResponseBody without deadlines.
type streamBody struct {
	io.Reader
	io.Closer // nil: none is called
	closed    bool
}

func (*streamBody) SetReadDeadline(time.Time) error { return os.ErrNoDeadline }

func (b *streamBody) Close() error {
	b.closed = true
	return b.Closer.Close()
}

// connectFields returns the header list of a valid request of HTTP/2, with more names and values.
func connectFields(path string, more ...string) []hpack.HeaderField {
	list := []string{
		":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", path, ":authority", "example.com",
		"sec-websocket-version", "13",
	}
	return fieldList(append(list, more...)...)
}

// fieldList returns a header list of names and values.
func fieldList(namesAndValues ...string) (fields []hpack.HeaderField) {
	for i := 0; i < len(namesAndValues); i += 2 {
		fields = append(fields, hpack.HeaderField{Name: namesAndValues[i], Value: namesAndValues[i+1]})
	}
	return fields
}

// An h2Client is the client's end of an HTTP/2 connection with one stream at a time.
type h2Client struct {
	t      *testing.T
	conn   net.Conn
	framer *http2.Framer
	stream uint32 // the last one opened
}

// dialH2 begins HTTP/2 over conn, and waits for the server's consent to extended CONNECT.
func dialH2(t *testing.T, conn net.Conn) *h2Client {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute)) // a test that fails doesn't hang
	c := &h2Client{t: t, conn: conn, framer: http2.NewFramer(conn, conn)}
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	io.WriteString(conn, http2.ClientPreface)
	c.framer.WriteSettings()
	settings, ok := c.readFrame().(*http2.SettingsFrame)
	if !ok {
		t.Fatal("the server didn't begin with SETTINGS")
	}
	if v, _ := settings.Value(http2.SettingEnableConnectProtocol); v != 1 {
		t.Fatal("the server doesn't support extended CONNECT")
	}
	c.framer.WriteSettingsAck()
	return c
}

// open opens a stream with a request.
func (c *h2Client) open(fields []hpack.HeaderField) {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range fields {
		encoder.WriteField(f)
	}
	c.stream += 1 + c.stream&1
	err := c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: c.stream, BlockFragment: block.Bytes(), EndHeaders: true})
	if err != nil {
		c.t.Fatal(err)
	}
}

// send sends data on the stream.
func (c *h2Client) send(text string) {
	if err := c.framer.WriteData(c.stream, false, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *h2Client) readFrame() http2.Frame {
	c.t.Helper()
	f, err := c.framer.ReadFrame()
	if err != nil {
		c.t.Fatal(err)
	}
	return f
}

// next returns the next frame of the stream that has a meaning for the tests.
func (c *h2Client) next() http2.Frame {
	c.t.Helper()
	for {
		switch f := c.readFrame().(type) {
		case *http2.MetaHeadersFrame, *http2.DataFrame, *http2.RSTStreamFrame:
			return f
		}
	}
}
