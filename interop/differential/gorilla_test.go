package differential

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/seed004e8d11/websock"
)

// gorilla returns the verdict of gorilla/websocket.
func gorilla(role websock.Role, stream []byte) (v verdict) {
	conn := gorillaConn(role, &played{stream: bytes.NewReader(stream)})
	for {
		op, payload, err := conn.ReadMessage()
		var over *websocket.CloseError
		switch {
		case err == nil:
			v.messages = append(v.messages, message{websock.Opcode(op), string(payload)})
			continue
		case errors.As(err, &over) && over.Code == websocket.CloseAbnormalClosure:
		case errors.As(err, &over):
			v.end, v.code = closed, websock.CloseCode(over.Code)
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		default:
			v.end = refused
		}
		return v
	}
}

// gorillaConn returns a connection to a peer that completes the opening handshake and then sends the
// stream.
func gorillaConn(role websock.Role, peer *played) *websocket.Conn {
	var conn *websocket.Conn
	var err error
	if role == websock.Client {
		dialer := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return peer, nil }}
		conn, _, err = dialer.Dial("ws://h/", nil)
	} else {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header = http.Header{
			"Upgrade": {"websocket"}, "Connection": {"Upgrade"},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
		}
		upgrader := websocket.Upgrader{}
		conn, err = upgrader.Upgrade(hijackable{httptest.NewRecorder(), peer}, r, nil)
	}
	if err != nil {
		panic(err)
	}
	return conn
}

// hijackable is an http.ResponseWriter with a connection to hijack.
type hijackable struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(io.Discard)), nil
}

// played is a connection to a peer that sends a recorded stream, after the response to an opening
// handshake if there is one.
type played struct {
	net.Conn
	answer strings.Reader
	stream *bytes.Reader
}

func (p *played) Write(b []byte) (int, error) {
	if _, after, ok := strings.Cut(string(b), "Sec-WebSocket-Key: "); ok {
		key, _, _ := strings.Cut(after, "\r\n")
		sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		p.answer.Reset("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
			"Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n")
	}
	return len(b), nil
}

func (p *played) Read(b []byte) (int, error) {
	if p.answer.Len() > 0 {
		return p.answer.Read(b)
	}
	return p.stream.Read(b)
}

func (p *played) Close() error                     { return nil }
func (p *played) SetDeadline(time.Time) error      { return nil }
func (p *played) SetReadDeadline(time.Time) error  { return nil }
func (p *played) SetWriteDeadline(time.Time) error { return nil }
