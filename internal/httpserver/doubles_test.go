package httpserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/h2"
	"github.com/seed004e8d11/websock/transport/std"
)

// bound is how long a test waits for what must happen.
const bound = 20 * time.Second

// await waits for a value of a channel.
func await[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(bound):
		t.Fatalf("no %s", what)
	}
	return v
}

// A server serves cleartext HTTP/2 with prior knowledge. Its fields are set before start.
type server struct {
	handler http.HandlerFunc
	conn    Conn      // the model of the Conn of each connection
	config  h2.Config // likewise, of its session
	carrier func(transport.Conn) transport.Conn

	addr string
	log  lockedBuffer
}

// lockedBuffer is a bytes.Buffer that several goroutines use.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start runs the server until the test ends.
func (s *server) start(t testing.TB) *server {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	logger := log.New(&s.log, "", 0)
	var mu sync.Mutex
	var sessions []*h2.Session
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			carrier := transport.Conn(std.New(conn, nil))
			if s.carrier != nil {
				carrier = s.carrier(carrier)
			}
			c := &Conn{
				Handler:      s.handler,
				Context:      ctx,
				RemoteAddr:   conn.RemoteAddr().String(),
				MaxHandlers:  s.conn.MaxHandlers,
				ReadTimeout:  s.conn.ReadTimeout,
				WriteTimeout: s.conn.WriteTimeout,
				Logf:         logger.Printf,
			}
			if c.MaxHandlers == 0 {
				c.MaxHandlers = 100
			}
			config := s.config
			config.Request = c.Request
			session, err := h2.NewServer(carrier, config)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			sessions = append(sessions, session)
			mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
		cancel()
		for _, session := range sessions {
			session.Close(http2.ErrCodeNo, nil)
		}
	})
	return s
}

// serve starts a server with this handler and nothing else.
func serve(t testing.TB, h http.HandlerFunc) *server { return (&server{handler: h}).start(t) }

// client returns net/http's client with a connection of its own.
func (s *server) client(t testing.TB) *http.Client {
	tr := &http.Transport{Protocols: new(http.Protocols), ExpectContinueTimeout: bound}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: bound}
}

func (s *server) url() string { return "http://" + s.addr + "/" }

// A rawClient sends frames.
type rawClient struct {
	*http2.Framer
	t       testing.TB
	conn    net.Conn
	encoder *hpack.Encoder
	block   bytes.Buffer
}

// dial connects and exchanges the prefaces.
func (s *server) dial(t testing.TB) *rawClient {
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(bound))
	c := &rawClient{t: t, conn: conn, Framer: http2.NewFramer(conn, conn)}
	c.encoder = hpack.NewEncoder(&c.block)
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	io.WriteString(conn, http2.ClientPreface)
	c.WriteSettings()
	return c
}

// request opens a stream with these fields.
func (c *rawClient) request(id uint32, endStream bool, list []hpack.HeaderField) {
	c.block.Reset()
	for _, f := range list {
		c.encoder.WriteField(f)
	}
	c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.block.Bytes(), EndStream: endStream, EndHeaders: true})
}

// read returns the next frame, and answers it if it is a SETTINGS or a PING.
func (c *rawClient) read() http2.Frame {
	c.t.Helper()
	f, err := c.ReadFrame()
	if err != nil {
		c.t.Fatal(err)
	}
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			c.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			c.WritePing(true, f.Data)
		}
	}
	return f
}

// next returns the next frame that says something about streams, or a GOAWAY.
func (c *rawClient) next() http2.Frame {
	c.t.Helper()
	for {
		switch f := c.read().(type) {
		case *http2.SettingsFrame, *http2.PingFrame, *http2.WindowUpdateFrame:
		default:
			return f
		}
	}
}

// expect expects frames that are told as want; see tell. The end of a stream may come in a frame of its own:
// what a Cork holds back is written as soon as another goroutine of the server sends something.
func (c *rawClient) expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		f := c.next()
		got := tell(f)
		if got+endStream == w {
			got, w = tell(c.next()), tellData(f.Header().StreamID, "", true)
		}
		if got != w {
			c.t.Fatalf("%s, want %s", got, w)
		}
	}
}

// sync waits until the server has handled all frames that it was sent.
func (c *rawClient) sync() {
	c.t.Helper()
	c.WritePing(false, [8]byte{1})
	for {
		if ping, ok := c.read().(*http2.PingFrame); ok && ping.IsAck() {
			return
		}
	}
}

// endStream is how tell describes the flag END_STREAM.
const endStream = " END_STREAM"

// tell describes a frame.
func tell(f http2.Frame) string {
	end := ""
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		if f.StreamEnded() {
			end = endStream
		}
		return fmt.Sprintf("%d HEADERS %s%s", f.StreamID, f.PseudoValue("status"), end)
	case *http2.DataFrame:
		if f.StreamEnded() {
			end = endStream
		}
		return fmt.Sprintf("%d DATA %q%s", f.StreamID, f.Data(), end)
	case *http2.RSTStreamFrame:
		return fmt.Sprintf("%d RST_STREAM %v", f.StreamID, f.ErrCode)
	case *http2.GoAwayFrame:
		return fmt.Sprintf("GOAWAY %v", f.ErrCode)
	}
	return f.Header().String()
}

// tellHead and tellData describe frames of a response as tell does.
func tellHead(id uint32, status string) string { return fmt.Sprintf("%d HEADERS %s", id, status) }

func tellData(id uint32, data string, end bool) string {
	if end {
		return fmt.Sprintf("%d DATA %q%s", id, data, endStream)
	}
	return fmt.Sprintf("%d DATA %q", id, data)
}

// readerFunc is the Read of a reader.
type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// codeOf returns the code with which a stream was reset, according to net/http's client.
func codeOf(err error) string {
	var text string
	for ; err != nil; err = errors.Unwrap(err) {
		text = err.Error()
	}
	_, code, _ := strings.Cut(text, "stream ID ")
	_, code, _ = strings.Cut(code, "; ")
	code, _, _ = strings.Cut(code, ";")
	return code
}

// A countingCarrier counts writes.
type countingCarrier struct {
	transport.Conn
	transport.Pusher
	transport.Queue
	mu     *sync.Mutex
	writes *int
}

func (c *countingCarrier) count() {
	c.mu.Lock()
	*c.writes++
	c.mu.Unlock()
}

func (c *countingCarrier) Writev(bufs ...[]byte) error {
	c.count()
	return c.Conn.Writev(bufs...)
}

func (c *countingCarrier) TryWrite(p []byte) (transport.PendingWrite, error) {
	c.count()
	return c.Queue.TryWrite(p)
}
