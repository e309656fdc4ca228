//go:build linux

//lint:file-ignore SA1019 net/http's server, which is to be used instead, serves extended CONNECT only with a setting of the whole program, too

package echo

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/gobwas/ws"
	"golang.org/x/net/http2"
)

// xnetShared is the HTTP/2 server of golang.org/x/net with frames of gobwas/ws, since no other library for
// WebSocket in Go knows HTTP/2. Each WebSocket has the goroutine of its request. The server accepts extended
// CONNECT (RFC 8441) only if GODEBUG has http2xconnect=1.
type xnetShared struct {
	members members[*xnetStream]
}

// An xnetStream is the server's end of a WebSocket.
type xnetStream struct {
	w       http.ResponseWriter
	writing sync.Mutex
}

func listenXnetShared() (address string, serve func() error, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http2.Server{MaxConcurrentStreams: sharedStreams}
	options := &http2.ServeConnOpts{Handler: &xnetShared{}}
	return listener.Addr().String(), func() error {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return err
			}
			go server.ServeConn(conn, options)
		}
	}, nil
}

func (x *xnetShared) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect || r.Header.Get(":protocol") != "websocket" {
		http.Error(w, "not a WebSocket", http.StatusBadRequest)
		return
	}
	stream := &xnetStream{w: w}
	w.WriteHeader(http.StatusOK)
	if http.NewResponseController(w).Flush() != nil {
		return
	}
	x.members.join(stream)
	defer x.members.leave(stream)
	const buffer = 1024
	x.serve(stream, bufio.NewReaderSize(r.Body, buffer)) // an error ends the stream
}

func (x *xnetShared) serve(stream *xnetStream, in *bufio.Reader) error {
	header := make([]byte, ws.MaxHeaderSize)
	var message []byte
	for {
		h, err := ws.ReadHeaderBuffer(in, header)
		if err != nil {
			return err
		}
		if err := ws.CheckHeader(h, ws.StateServerSide); err != nil {
			return err
		}
		if h.OpCode.IsControl() || !h.Fin {
			return errors.New("unexpected frame")
		}
		if int64(cap(message)) < h.Length {
			message = make([]byte, h.Length)
		}
		message = message[:h.Length]
		if _, err := io.ReadFull(in, message); err != nil {
			return err
		}
		ws.Cipher(message, h.Mask, 0)
		if h.OpCode != ws.OpText {
			stream.send(h.OpCode, message)
			continue
		}
		for _, to := range x.members.all() {
			to.send(h.OpCode, message)
		}
	}
}

func (s *xnetStream) send(op ws.OpCode, message []byte) {
	s.writing.Lock()
	defer s.writing.Unlock()
	ws.WriteHeader(s.w, ws.Header{Fin: true, OpCode: op, Length: int64(len(message))}) // which is buffered
	s.w.Write(message)
	http.NewResponseController(s.w).Flush()
}
