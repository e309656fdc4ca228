package memory

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// address is the URL that clients dial.
const address = "ws://localhost/"

// A Network is a net.Conn with a server behind it. The server answers the opening handshake, sends one
// frame a number of times, then ends the stream, and discards what it receives.
type Network struct {
	frames    []byte // as many as one read can return
	repeat    int    // offset in frames that follows the last one
	maxRead   int    // bytes that a read returns at most
	remaining int    // bytes still to be received
	pos       int    // in frames

	request   []byte      // of the opening handshake, as far as received
	responded bool        // to the request; belongs to the writer
	responses chan []byte // the response
	response  []byte      // the part that was not read yet
	begun     bool        // the response was read; belongs to the reader

	extensions string // negotiated

	Reads, Writes int // calls since the opening handshake
	Written       int // bytes since then

	Served atomic.Int64 // bytes that Serve received

	Keep bool   // keep what is sent after the opening handshake
	Sent []byte // what was kept
}

// socketRead is the most that a read from a socket returns.
const socketRead = 64 << 10

// Again returns another network that sends the same. It shares the memory of n, which must be unused.
func (n *Network) Again() *Network {
	return &Network{
		frames: n.frames, repeat: n.repeat, maxRead: n.maxRead, remaining: n.remaining,
		extensions: n.extensions, responses: make(chan []byte, 1),
	}
}

// Serve serves a connection with what the network sends. It returns when all is sent, and continues to
// read until the client closes the connection.
func (n *Network) Serve(conn net.Conn) {
	go func() {
		buf := make([]byte, 128)
		for {
			k, err := conn.Read(buf)
			if err != nil {
				return
			}
			n.Write(buf[:k])
			n.Served.Add(int64(k))
		}
	}()
	io.CopyBuffer(struct{ io.Writer }{conn}, struct{ io.Reader }{n}, make([]byte, socketRead))
}

// Skip skips the opening handshake.
func (n *Network) Skip() *Network {
	n.responded, n.begun = true, true
	return n
}

// New returns a network that sends times frames with a payload. If oneByOne is set, a read returns only
// one, as in a dialogue; otherwise as many as fit.
func New(op websock.Opcode, payload []byte, times int, oneByOne bool) *Network {
	frame := engine.AppendHeader(nil, websock.Header{Fin: true, Opcode: op, Length: int64(len(payload))})
	frame = append(frame, payload...)
	n := &Network{maxRead: socketRead, remaining: times * len(frame), responses: make(chan []byte, 1)}
	if oneByOne {
		n.maxRead = len(frame)
	}
	n.frames = bytes.Repeat(frame, 1+socketRead/len(frame))
	return n
}

// Read implements net.Conn.
func (n *Network) Read(p []byte) (int, error) {
	if !n.begun {
		return n.readResponse(p)
	}
	if n.remaining == 0 {
		return 0, io.EOF
	}
	n.Reads++
	k := copy(p, n.frames[n.pos:][:min(n.maxRead, n.remaining, len(n.frames)-n.pos)])
	n.remaining -= k
	if n.pos += k; n.pos == len(n.frames) {
		n.pos = n.repeat
	}
	return k, nil
}

// readResponse waits for the response of the opening handshake: some clients read before they write.
func (n *Network) readResponse(p []byte) (int, error) {
	if n.response == nil {
		n.response = <-n.responses
	}
	k := copy(p, n.response)
	n.response = n.response[k:]
	n.begun = len(n.response) == 0
	return k, nil
}

// Write implements net.Conn.
func (n *Network) Write(p []byte) (int, error) {
	if !n.responded {
		n.handshake(p)
		return len(p), nil
	}
	n.Writes++
	n.Written += len(p)
	if n.Keep {
		n.Sent = append(n.Sent, p...)
	}
	return len(p), nil
}

// handshake collects the request of the opening handshake and responds to it (RFC 6455 section 4.2.2).
func (n *Network) handshake(p []byte) {
	n.request = append(n.request, p...)
	if !bytes.HasSuffix(n.request, []byte("\r\n\r\n")) {
		return
	}
	sum := sha1.Sum(append(fieldOf(n.request, "Sec-WebSocket-Key"), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	response := []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
	response = base64.StdEncoding.AppendEncode(response, sum[:])
	if n.extensions != "" {
		response = append(response, "\r\nSec-WebSocket-Extensions: "+n.extensions...)
	}
	n.responded = true // the client may send its first frame, from another goroutine, as soon as it has the response
	n.responses <- append(response, "\r\n\r\n"...)
}

// fieldOf returns the value of a header field that exists.
func fieldOf(request []byte, name string) []byte {
	for line := range bytes.Lines(request) {
		if key, value, ok := bytes.Cut(line, []byte(":")); ok && http.CanonicalHeaderKey(string(key)) == http.CanonicalHeaderKey(name) {
			return bytes.Clone(bytes.TrimSpace(value))
		}
	}
	return nil
}

// Close implements net.Conn and does nothing.
func (*Network) Close() error { return nil }

// LocalAddr implements net.Conn.
func (*Network) LocalAddr() net.Addr { return &net.TCPAddr{} }

// RemoteAddr implements net.Conn.
func (*Network) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// SetDeadline implements net.Conn and does nothing: no call ever blocks.
func (*Network) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn, as SetDeadline does.
func (*Network) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn, as SetDeadline does.
func (*Network) SetWriteDeadline(time.Time) error { return nil }
