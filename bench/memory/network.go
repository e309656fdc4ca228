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

// address is what clients believe to reach.
const address = "ws://localhost/"

// A Network is a net.Conn and a server behind it. It answers the opening handshake, sends
// one frame a number of times and then the end of the stream, and takes what it is sent.
type Network struct {
	frames []byte // as many as there is room for in what a client reads
	again  int    // where in frames it begins anew after the last one
	most   int    // bytes that a read returns
	left   int    // bytes still to be received
	pos    int    // in frames

	request  []byte      // of the opening handshake, as far as it came
	answered bool        // belongs to who writes
	answers  chan []byte // the answer to it
	answer   []byte      // as far as it was not received
	begun    bool        // it was received; belongs to who reads

	extensions string // agreed in it

	Reads, Writes int // calls, since the opening handshake
	Written       int // bytes, likewise

	Served atomic.Int64 // bytes that Serve was sent

	Keep bool   // what is sent since then
	Sent []byte // what was kept
}

// readMost is what a socket with enough in it gives at most.
const readMost = 64 << 10

// Again returns a network that has the same to say as one of which nothing was received yet,
// and shares its memory.
func (n *Network) Again() *Network {
	return &Network{
		frames: n.frames, again: n.again, most: n.most, left: n.left,
		extensions: n.extensions, answers: make(chan []byte, 1),
	}
}

// Serve is a server on a connection that says what the network has to say, and then waits
// until the client ends the connection. It returns when all is said.
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
	io.CopyBuffer(struct{ io.Writer }{conn}, struct{ io.Reader }{n}, make([]byte, readMost))
}

// Skip makes a network on which there is no opening handshake.
func (n *Network) Skip() *Network {
	n.answered, n.begun = true, true
	return n
}

// New returns a network on which frames with a payload come, times of them. One by one means
// that a read gives no more than one, as in a dialogue; otherwise it gives as many as fit.
func New(op websock.Opcode, payload []byte, times int, oneByOne bool) *Network {
	frame := engine.AppendHeader(nil, websock.Header{Fin: true, Opcode: op, Length: int64(len(payload))})
	frame = append(frame, payload...)
	n := &Network{most: readMost, left: times * len(frame), answers: make(chan []byte, 1)}
	if oneByOne {
		n.most = len(frame)
	}
	n.frames = bytes.Repeat(frame, 1+readMost/len(frame))
	return n
}

// Read implements net.Conn.
func (n *Network) Read(p []byte) (int, error) {
	if !n.begun {
		return n.readAnswer(p)
	}
	if n.left == 0 {
		return 0, io.EOF
	}
	n.Reads++
	k := copy(p, n.frames[n.pos:][:min(n.most, n.left, len(n.frames)-n.pos)])
	n.left -= k
	if n.pos += k; n.pos == len(n.frames) {
		n.pos = n.again
	}
	return k, nil
}

// readAnswer waits for the answer to the opening handshake: some read before they write.
func (n *Network) readAnswer(p []byte) (int, error) {
	if n.answer == nil {
		n.answer = <-n.answers
	}
	k := copy(p, n.answer)
	n.answer = n.answer[k:]
	n.begun = len(n.answer) == 0
	return k, nil
}

// Write implements net.Conn.
func (n *Network) Write(p []byte) (int, error) {
	if !n.answered {
		n.shake(p)
		return len(p), nil
	}
	n.Writes++
	n.Written += len(p)
	if n.Keep {
		n.Sent = append(n.Sent, p...)
	}
	return len(p), nil
}

// shake takes a part of the opening handshake and answers the whole (RFC 6455 section 4.2.2).
func (n *Network) shake(p []byte) {
	n.request = append(n.request, p...)
	if !bytes.HasSuffix(n.request, []byte("\r\n\r\n")) {
		return
	}
	sum := sha1.Sum(append(fieldOf(n.request, "Sec-WebSocket-Key"), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	answer := []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
	answer = base64.StdEncoding.AppendEncode(answer, sum[:])
	if n.extensions != "" {
		answer = append(answer, "\r\nSec-WebSocket-Extensions: "+n.extensions...)
	}
	n.answers <- append(answer, "\r\n\r\n"...)
	n.answered = true
}

// fieldOf returns the value of a header field, which is there.
func fieldOf(request []byte, name string) []byte {
	for line := range bytes.Lines(request) {
		if key, value, ok := bytes.Cut(line, []byte(":")); ok && http.CanonicalHeaderKey(string(key)) == http.CanonicalHeaderKey(name) {
			return bytes.Clone(bytes.TrimSpace(value))
		}
	}
	return nil
}

// Close implements net.Conn, and does nothing.
func (*Network) Close() error { return nil }

// LocalAddr implements net.Conn.
func (*Network) LocalAddr() net.Addr { return &net.TCPAddr{} }

// RemoteAddr implements net.Conn.
func (*Network) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// SetDeadline implements net.Conn, and does nothing: nobody ever waits.
func (*Network) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn, as SetDeadline does.
func (*Network) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn, as SetDeadline does.
func (*Network) SetWriteDeadline(time.Time) error { return nil }
