package h3_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/h3"
)

// A rawServer speaks HTTP/3 by hand: quic-go carries the streams, and a test writes what they carry.
type rawServer struct {
	server
	listener *quic.Transport
	requests atomic.Int32 // that have come
}

// A rawConn is the server's end of a QUIC connection.
type rawConn struct {
	*quic.Conn
	server  *rawServer
	control *quic.SendStream
	number  int // of connections before this one
}

// newRawServer starts a server that calls serve for each connection.
func newRawServer(t *testing.T, config *quic.Config, serve func(*rawConn)) *rawServer {
	t.Helper()
	udp := listenUDP(t)
	secure, roots := certificate()
	s := &rawServer{
		server: server{
			addr:   udp.LocalAddr().(*net.UDPAddr).AddrPort(),
			config: &tls.Config{RootCAs: roots},
			mux:    newMux(),
		},
		listener: &quic.Transport{Conn: udp},
	}
	secure.NextProtos = []string{http3.NextProtoH3}
	config = cmp.Or(config, endlessHandshake).Clone()
	config.HandshakeIdleTimeout = endlessHandshake.HandshakeIdleTimeout
	l, err := s.listener.Listen(secure, config)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for n := 0; ; n++ {
			conn, err := l.Accept(context.Background())
			if err != nil {
				return
			}
			go serve(&rawConn{Conn: conn, server: s, number: n})
		}
	}()
	t.Cleanup(s.stop)
	return s
}

// stop ends all connections of both sides. It may be called more than once.
func (s *rawServer) stop() {
	s.mux.Close()
	s.listener.Close()
	s.listener.Conn.Close()
}

// extendedConnect has the setting of RFC 9220.
var extendedConnect = varints(0x8, 1)

// settle opens the control stream with SETTINGS.
func (c *rawConn) settle(settings []byte) { c.open(varints(0), frame(0x4, settings)) }

// open opens the control stream with something else.
func (c *rawConn) open(parts ...[]byte) { c.control = c.openUni(parts...) }

// openUni opens a unidirectional stream.
func (c *rawConn) openUni(parts ...[]byte) *quic.SendStream {
	s, err := c.OpenUniStream()
	if err == nil {
		s.Write(bytes.Join(parts, nil))
	}
	return s
}

// request returns the stream of the next request, after its header, or nil if the connection has ended.
func (c *rawConn) request() *quic.Stream {
	s, err := c.AcceptStream(context.Background())
	if err != nil {
		return nil
	}
	r := quicvarint.NewReader(s)
	quicvarint.Read(r)
	n, _ := quicvarint.Read(r)
	io.CopyN(io.Discard, r, int64(n))
	c.server.requests.Add(1)
	return s
}

// accept accepts the next WebSocket.
func (c *rawConn) accept() *quic.Stream {
	s := c.request()
	if s != nil {
		s.Write(accepted)
	}
	return s
}

// opened accepts the next WebSocket and waits until the client sends something.
func (c *rawConn) opened() *quic.Stream {
	s := c.accept()
	if s != nil {
		s.Read(make([]byte, 1))
	}
	return s
}

// varints returns integers as QUIC writes them.
func varints(values ...uint64) (b []byte) {
	for _, v := range values {
		b = quicvarint.Append(b, v)
	}
	return b
}

// frame returns a frame of HTTP/3.
func frame(frameType uint64, payload []byte) []byte {
	return append(varints(frameType, uint64(len(payload))), payload...)
}

// Heads of responses, whose fields are in the static table of QPACK (RFC 9204 appendix A).
var (
	accepted  = frame(0x1, []byte{0, 0, 0xc0 | 25})
	forbidden = frame(0x1, []byte{0, 0, 0xff, 68 - 63})
	early     = frame(0x1, []byte{0, 0, 0xc0 | 24})
)

// hello is a DATA frame with the message "hello".
var hello = frame(0x0, append([]byte{0x81, 5}, "hello"...))

// answerPackets answers each UDP packet until the test ends. It returns a server without an HTTP3 server.
func answerPackets(t *testing.T, timeout time.Duration, answer func(p []byte) []byte) *server {
	udp := listenUDP(t)
	go func() {
		b := make([]byte, 64<<10)
		for {
			n, from, err := udp.ReadFromUDP(b)
			if err != nil {
				return
			}
			udp.WriteToUDP(answer(b[:n]), from)
		}
	}()
	s := &server{
		addr: udp.LocalAddr().(*net.UDPAddr).AddrPort(),
		mux:  &websock.Mux{HTTP3: &h3.Dialer{Required: true, Timeout: timeout, QUIC: endlessHandshake}},
	}
	t.Cleanup(s.mux.Close)
	return s
}
