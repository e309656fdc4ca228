//go:build linux

package server

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
)

// A session is the server's end of one connection, without I/O: received bytes in, bytes to send out.
type session struct {
	open       bool   // the opening handshake is done
	compressed bool   // all messages have to be
	rest       []byte // received, but not yet a whole request or frame
}

var (
	errClosed       = errors.New("server: the client closed")
	errBroadcast    = errors.New("server: the client requests a broadcast")
	errTurnaround   = errors.New("server: the client requests the turnaround")
	errCount        = errors.New("server: the client requests the count")
	errRequest      = errors.New("server: not an opening handshake")
	errUncompressed = errors.New("server: a message that isn't compressed")
)

// A toAll is the error of a text message, which is for all connections. Where the connections have goroutines,
// over TLS, it ends the connection, since no servers are compared there.
type toAll struct{ frame []byte }

func (toAll) Error() string { return "server: the client sends to all" }

// requests has the paths of plain requests.
var requests = map[string]error{
	broadcastPath:  errBroadcast,
	turnaroundPath: errTurnaround,
	countPath:      errCount,
}

// feed handles in, which it doesn't retain, and appends the answers to out. echoed counts the
// messages among them. After a toAll, what follows the message is handled by another call.
func (s *session) feed(in, out []byte) (answers []byte, echoed Count, err error) {
	if len(s.rest) > 0 {
		s.rest = append(s.rest, in...)
		in = s.rest
	}
	if !s.open {
		end := bytes.Index(in, []byte("\r\n\r\n"))
		if end < 0 {
			s.keep(in)
			return out, echoed, nil
		}
		if out, err = s.upgrade(in[:end+2], out); err != nil {
			s.keep(in[end+4:])
			return out, echoed, err
		}
		in = in[end+4:]
	}
	n, echoed, out, err := echo(in, out, s.compressed)
	s.keep(in[n:])
	return out, echoed, err
}

// keep saves an incomplete request or frame. An idle session has no memory for it.
func (s *session) keep(rest []byte) {
	switch {
	case len(rest) > 0:
		s.rest = append(s.rest[:0], rest...)
	case s.rest != nil:
		s.rest = nil
	}
}

// upgrade answers an opening handshake (RFC 6455 section 4.2.2).
func (s *session) upgrade(request, out []byte) ([]byte, error) {
	path := requestPath(request)
	if err := requests[path]; err != nil {
		return out, err
	}
	key := headerValue(request, "sec-websocket-key")
	if key == nil {
		return out, errRequest
	}
	s.open, s.compressed = true, compresses(path)
	sum := sha1.Sum(append(bytes.Clone(key), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	out = append(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	out = base64.StdEncoding.AppendEncode(out, sum[:])
	out = appendExtension(out, path, request)
	return append(out, "\r\n\r\n"...), nil
}

func requestPath(request []byte) string {
	target := bytes.TrimPrefix(request, []byte("GET "))
	return string(target[:max(0, bytes.IndexByte(target, ' '))])
}

func headerValue(request []byte, name string) []byte {
	for line := range bytes.SplitSeq(request, []byte("\r\n")) {
		k, v, found := bytes.Cut(line, []byte(":"))
		if found && bytes.EqualFold(k, []byte(name)) {
			return bytes.TrimSpace(v)
		}
	}
	return nil
}

const (
	finBit  = 0x80
	rsv1Bit = 0x40 // in the first frame of a compressed message

	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10
)

// echo appends the answers to the complete frames at the start of in, and returns their size and the count
// of messages. If compressed, a message that isn't is an error, so that nobody competes without.
func echo(in, out []byte, compressed bool) (n int, echoed Count, answers []byte, err error) {
	for {
		payload, size := frame(in[n:])
		if size == 0 {
			return n, echoed, out, nil
		}
		op := in[n] & 0xf
		first := in[n]
		switch op {
		case opPing:
			first += opPong - opPing
		case opPong:
			n += size
			continue
		case opText, opBinary:
			if compressed && first&rsv1Bit == 0 {
				return n, echoed, out, errUncompressed
			}
		}
		start := len(out)
		out = appendHeader(out, first, len(payload))
		out = append(out, payload...)
		unmask(out[len(out)-len(payload):], in[n+size-len(payload)-4:])
		n += size
		switch {
		case op == opClose:
			return n, echoed, out, errClosed
		case op == opText && first&finBit != 0:
			return n, echoed, out[:start], toAll{bytes.Clone(out[start:])}
		case op < opClose:
			echoed.Bytes += int64(len(payload))
			if first&finBit != 0 {
				echoed.Messages++
			}
		}
	}
}

// frame returns the payload and size of the masked frame at the start of in; size 0 if it is incomplete.
func frame(in []byte) (payload []byte, size int) {
	const maskKey = 4
	if len(in) < 2 {
		return nil, 0
	}
	header, length := 2+maskKey, int(in[1]&0x7f)
	switch length {
	case 126:
		header += 2
	case 127:
		header += 8
	}
	if len(in) < header {
		return nil, 0
	}
	switch length {
	case 126:
		length = int(binary.BigEndian.Uint16(in[2:]))
	case 127:
		length = int(binary.BigEndian.Uint64(in[2:]))
	}
	if len(in)-header < length {
		return nil, 0
	}
	return in[header : header+length], header + length
}

func appendHeader(out []byte, first byte, length int) []byte {
	switch {
	case length < 126:
		return append(out, first, byte(length))
	case length < 1<<16:
		return binary.BigEndian.AppendUint16(append(out, first, 126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(out, first, 127), uint64(length))
}

func unmask(p, key []byte) {
	k := binary.LittleEndian.Uint32(key)
	k64 := uint64(k)<<32 | uint64(k)
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^k64)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= key[i&3]
	}
}
