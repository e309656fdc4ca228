//go:build linux

package client

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"
)

// rawBuffer is the size of reads of raw clients.
const rawBuffer = 64 << 10

// rawFrames is everything that raw clients know of WebSocket: all frames received have the same length,
// all frames sent the same bytes.
type rawFrames struct {
	received int    // size of a frame received
	sent     int    // size of a frame sent
	out      []byte // as many frames as one read can hold
}

func newRawFrames(payload []byte) rawFrames {
	f := rawFrames{
		received: len(appendFrame(nil, payload, false)),
		sent:     len(appendFrame(nil, payload, true)),
	}
	for range rawBuffer/f.received + 1 {
		f.out = appendFrame(f.out, payload, true)
	}
	return f
}

// complete returns the number of frames that n bytes complete, if part bytes of the first arrived
// before, and the bytes of the next frame.
func (f *rawFrames) complete(part, n int) (frames, rest int) {
	return (part + n) / f.received, (part + n) % f.received
}

// some returns n frames to send.
func (f *rawFrames) some(n int) []byte { return f.out[:n*f.sent] }

// appendFrame appends a binary frame.
func appendFrame(b, payload []byte, masked bool) []byte {
	const binaryFin, maskBit = 0x82, 0x80
	var second byte
	if masked {
		second = maskBit
	}
	switch {
	case len(payload) < 126:
		b = append(b, binaryFin, second|byte(len(payload)))
	case len(payload) < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, binaryFin, second|126), uint16(len(payload)))
	default:
		b = binary.BigEndian.AppendUint64(append(b, binaryFin, second|127), uint64(len(payload)))
	}
	if !masked {
		return append(b, payload...)
	}
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(b, key[:]...)
	for i, x := range payload {
		b = append(b, x^key[i&3])
	}
	return b
}

// rawPatience is how long a connection waits for the server.
const rawPatience = 10 * time.Second

// rawHandshake doesn't check the response.
func rawHandshake(conn net.Conn) error {
	conn.SetDeadline(time.Now().Add(rawPatience))
	defer conn.SetDeadline(time.Time{})

	const request = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		return err
	}
	answer := make([]byte, 1024)
	for n := 0; n < 4 || string(answer[n-4:n]) != "\r\n\r\n"; {
		more, err := conn.Read(answer[n:])
		if err != nil {
			return err
		}
		n += more
	}
	return nil
}

var errRawEnd = errors.New("the server closed a connection")
