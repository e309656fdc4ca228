//go:build linux

//lint:file-ignore SA1019 net/http's client, which is to be used instead, can't send the field :protocol

package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"

	"github.com/gobwas/ws"
	"golang.org/x/net/http2"
)

// An xnetShared uses the HTTP/2 client of golang.org/x/net with frames of gobwas/ws. It has a goroutine
// for each WebSocket, and that client has another two.
type xnetShared struct {
	transport *http2.Transport
	mu        sync.Mutex
	conn      *http2.ClientConn // the newest
	taken     int               // of its streams
}

func newXnetShared(w *Work) (Client, error) {
	x := &xnetShared{transport: &http2.Transport{AllowHTTP: true}}
	return &pulled{Work: w, dial: x.dial}, nil
}

func (x *xnetShared) dial(ctx context.Context, w *Work) (link, error) {
	conn, err := x.connFor(ctx, w)
	if err != nil {
		return nil, err
	}
	out, in := io.Pipe()
	request := (&http.Request{Method: http.MethodConnect, Header: http.Header{
		":protocol":             {"websocket"},
		"Sec-Websocket-Version": {"13"},
	}, Body: out}).WithContext(context.WithoutCancel(ctx))
	if request.URL, err = url.Parse(w.URL); err != nil {
		return nil, err
	}
	request.URL.Scheme = "http"
	if w.secure() {
		request.URL.Scheme = "https"
	}
	response, err := conn.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %s", response.Status)
	}
	const buffer = 1024
	return &gobwasLink{
		conn:   streamConn{Reader: response.Body, Writer: in},
		br:     bufio.NewReaderSize(response.Body, buffer),
		header: make([]byte, ws.MaxHeaderSize),
		in:     make([]byte, len(w.Payload)),
	}, nil
}

// A streamConn is the net.Conn of a stream, as far as a gobwasLink uses it.
type streamConn struct {
	net.Conn
	io.Reader
	io.Writer
}

func (c streamConn) Read(p []byte) (int, error)  { return c.Reader.Read(p) }
func (c streamConn) Write(p []byte) (int, error) { return c.Writer.Write(p) }

// connFor returns a connection for one more stream.
func (x *xnetShared) connFor(ctx context.Context, w *Work) (*http2.ClientConn, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.conn != nil && x.taken < w.Shared {
		x.taken++
		return x.conn, nil
	}
	target, err := url.Parse(w.URL)
	if err != nil {
		return nil, err
	}
	conn, err := dialHTTP2(ctx, target.Host, w.TLS)
	if err != nil {
		return nil, err
	}
	x.conn, err = x.transport.NewClientConn(conn)
	x.taken = 1
	return x.conn, err
}

func dialHTTP2(ctx context.Context, address string, config *tls.Config) (net.Conn, error) {
	if config == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	config = config.Clone()
	config.NextProtos = []string{"h2"}
	return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
}
