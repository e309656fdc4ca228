package h3

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/seed004e8d11/websock/transport"
)

// ConfigureServer makes websock.Accept work in the Handler of s, which has not begun to serve: it puts
// Handler around it. It also sets those fields of s.QUICConfig that are zero:
//
//   - MaxIncomingStreams, how many requests and WebSockets a connection has at once: DefaultMaxStreams;
//   - InitialStreamReceiveWindow and MaxStreamReceiveWindow: DefaultWindow, so that a WebSocket that isn't
//     read holds that much and no more; InitialConnectionReceiveWindow and MaxConnectionReceiveWindow: as
//     much for each stream, so that those that aren't read don't stop the others;
//   - KeepAlivePeriod: DefaultKeepAlive, since QUIC ends a connection on which nothing happens for 30
//     seconds, and a WebSocket may be idle for longer.
//
// It puts a function before ConnContext, so that a client that violates HTTP/3 on the stream of a WebSocket
// loses its connection (RFC 9114 section 8), and not only that stream.
//
// Without a QUICConfig, http3.Server accepts 0-RTT; with ConfigureServer it doesn't, unless QUICConfig has
// Allow0RTT. See the package's documentation.
func ConfigureServer(s *http3.Server) {
	s.Handler = Handler(s.Handler)
	streams := DefaultMaxStreams
	if c := s.QUICConfig; c != nil && c.MaxIncomingStreams > 0 {
		streams = int(min(c.MaxIncomingStreams, math.MaxInt32))
	}
	s.QUICConfig = withDefaults(s.QUICConfig, streams, DefaultWindow)
	if s.QUICConfig.MaxIncomingStreams == 0 {
		s.QUICConfig.MaxIncomingStreams = DefaultMaxStreams
	}
	next := s.ConnContext
	s.ConnContext = func(ctx context.Context, c *quic.Conn) context.Context {
		ctx = context.WithValue(ctx, connKey{}, c)
		if next != nil {
			ctx = next(ctx, c)
		}
		return ctx
	}
}

// connKey is the key of the *quic.Conn in the context of a request.
type connKey struct{}

// The defaults of ConfigureServer, and of a Dialer.
const (
	DefaultMaxStreams = 100
	DefaultWindow     = 256 << 10 // bytes
	DefaultKeepAlive  = 15 * time.Second
)

// withDefaults returns a copy of c in which the fields are set that must not be zero.
func withDefaults(c *quic.Config, streams, window int) *quic.Config {
	if c == nil {
		c = &quic.Config{}
	}
	c = c.Clone()
	set := func(field *uint64, value uint64) {
		if *field == 0 {
			*field = value
		}
	}
	set(&c.InitialStreamReceiveWindow, uint64(window))
	set(&c.MaxStreamReceiveWindow, uint64(window))
	n := uint64(streams) + controlStreams
	all := n * min(c.MaxStreamReceiveWindow, quicvarint.Max/n)
	set(&c.InitialConnectionReceiveWindow, all)
	set(&c.MaxConnectionReceiveWindow, all)
	if c.KeepAlivePeriod == 0 {
		c.KeepAlivePeriod = DefaultKeepAlive
	}
	return c
}

// controlStreams is the number of streams that HTTP/3 and QPACK need for themselves.
const controlStreams = 3

// Handler returns an http.Handler for an http3.Server that calls h. In h, websock.Accept accepts the
// WebSockets, and may return then. Requests of other kinds reach h unchanged; those of a WebSocket have the
// Header ":protocol" and the Proto "HTTP/3.0", as extended CONNECT has them over HTTP/2. A nil h is
// http.DefaultServeMux.
//
// ConfigureServer calls it. A program that calls it itself has to set what ConfigureServer says.
func Handler(h http.Handler) http.Handler {
	if h == nil {
		h = http.DefaultServeMux
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect && r.ProtoMajor == 3 && r.Proto != protoHTTP3 {
			connect := *r
			connect.Header = maps.Clone(r.Header)
			connect.Header[":protocol"] = []string{r.Proto}
			connect.Proto = protoHTTP3
			connect.ContentLength = -1
			if _, ok := r.Header["Content-Length"]; ok {
				connect.ContentLength = r.ContentLength
			}
			body := &requestBody{ReadCloser: r.Body}
			connect.Body = body
			w, r = &responseWriter{ResponseWriter: w, r: &connect, body: body}, &connect
		}
		h.ServeHTTP(w, r)
	})
}

// protoHTTP3 is the Proto of requests. quic-go has the value of :protocol there if there is one.
const protoHTTP3 = "HTTP/3.0"

// A responseWriter is that of an extended CONNECT, whose stream websock.Accept can take.
type responseWriter struct {
	http.ResponseWriter
	r     *http.Request
	body  *requestBody
	state responseState
}

// A requestBody remembers that it was read: then frames of the stream are missing for TakeStream.
type requestBody struct {
	io.ReadCloser
	read atomic.Bool
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.read.Store(true)
	return b.ReadCloser.Read(p)
}

// A responseState says what has become of a response.
type responseState uint8

const (
	responseEmpty responseState = iota
	responseBegun               // by other means than TakeStream, which isn't possible any more
	responseTaken               // TakeStream was called: there is nothing more to send
)

// Unwrap is for http.ResponseController.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader sends the head of a response. It does nothing after TakeStream.
func (w *responseWriter) WriteHeader(status int) {
	if w.state == responseTaken {
		return
	}
	if status >= 200 {
		w.state = responseBegun
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the body of a response.
func (w *responseWriter) Write(p []byte) (int, error) {
	if !w.begins() {
		return 0, http.ErrHijacked
	}
	return w.ResponseWriter.Write(p)
}

// FlushError is for http.ResponseController.
func (w *responseWriter) FlushError() error {
	if !w.begins() {
		return http.ErrHijacked
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// begins is called when something of a response is to be sent. It returns false after TakeStream.
func (w *responseWriter) begins() bool {
	if w.state == responseEmpty {
		w.state = responseBegun
	}
	return w.state != responseTaken
}

var (
	errNoStream  = errors.New("websock: HTTP/3: the http.ResponseWriter is not that of an http3.Server")
	errResponded = errors.New("websock: HTTP/3: the request has a response already")
	errBodyRead  = errors.New("websock: HTTP/3: the request's body was read")
)

// TakeStream sends the head of a response, and gives its stream to the caller, who may use it after the
// handler has returned.
func (w *responseWriter) TakeStream(status int, header http.Header) (transport.Conn, error) {
	streamer, ok := w.ResponseWriter.(http3.HTTPStreamer)
	switch {
	case !ok:
		return nil, errNoStream
	case w.state != responseEmpty:
		return nil, errResponded
	case w.body.read.Load():
		return nil, errBodyRead
	}
	w.state = responseTaken
	own := w.Header()
	clear(own)
	maps.Copy(own, header)
	w.ResponseWriter.WriteHeader(status)
	hs, err := streamer.HTTPStream()
	if err != nil {
		return nil, streamError(err)
	}
	st := &stream{
		str:    hs.QUICStream(),
		ends:   hs,
		abort:  aborter(w.r, hs),
		local:  addr(w.r, http.LocalAddrContextKey),
		remote: addr(w.r, http3.RemoteAddrContextKey),
	}
	state := w.r.TLS
	st.tls = func() tls.ConnectionState { return *state }
	st.str.SetDeadline(time.Time{})
	return newConn(st), nil
}

// aborter returns the function that ends the connection of a request; only its stream, if ConfigureServer was
// not called for the http3.Server.
func aborter(r *http.Request, s streamEnds) func(*violation) error {
	conn, ok := r.Context().Value(connKey{}).(*quic.Conn)
	if !ok {
		return func(v *violation) error {
			s.CancelRead(quic.StreamErrorCode(v.code))
			s.CancelWrite(quic.StreamErrorCode(v.code))
			return &StreamError{Code: v.code, Rule: v.rule}
		}
	}
	return func(v *violation) error {
		conn.CloseWithError(quic.ApplicationErrorCode(v.code), v.rule)
		return v.sessionError()
	}
}

// addr returns an address that the http3.Server has added to the context of a request.
func addr(r *http.Request, key any) net.Addr {
	if a, ok := r.Context().Value(key).(net.Addr); ok {
		return a
	}
	return &net.UDPAddr{}
}
