package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
	"unicode/utf8"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/mask"
	"github.com/seed004e8d11/websock/transport"
)

// showFrames is a transport that writes every frame to out, for people, each in one call.
type showFrames struct {
	websock.Transport
	out io.Writer
}

// Attach puts itself between the connection, which is decrypted already, and the transport.
func (s showFrames) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	c := &shownConn{Conn: conn, sent: frameView{mark: ">", out: s.out}, received: frameView{mark: "<", out: s.out}}
	c.received.take(early)
	return s.Transport.Attach(c, early)
}

// A shownConn is a connection whose frames are shown.
type shownConn struct {
	net.Conn
	sent, received frameView
}

func (c *shownConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.received.take(p[:n])
	return n, err
}

// Write shows first: the answer must not come before.
func (c *shownConn) Write(p []byte) (int, error) {
	c.sent.take(p)
	return c.Conn.Write(p)
}

// maxShown is how many bytes of a payload are shown.
const maxShown = 256

// A frameView shows the frames of one direction.
type frameView struct {
	mark    string // "<" or ">"
	out     io.Writer
	broken  bool   // what comes are no frames
	head    []byte // the beginning of a header
	frame   engine.Header
	payload []byte // the beginning of it, masked
}

// take shows the frames that p completes.
func (v *frameView) take(p []byte) {
	for len(p) > 0 && !v.broken {
		if v.frame.Remaining > 0 {
			p = v.takePayload(p)
			continue
		}
		p = v.takeHeader(p)
	}
}

// takeHeader takes a byte of a header, and returns what follows it.
func (v *frameView) takeHeader(p []byte) []byte {
	v.head = append(v.head, p[0])
	header, n, err := engine.ParseHeader(v.head)
	switch {
	case err != nil:
		fmt.Fprintf(v.out, "%s no frame: % x\n", v.mark, v.head)
		v.broken = true
	case n > 0:
		v.frame, v.head, v.payload = header, v.head[:0], v.payload[:0]
		if v.frame.Remaining == 0 {
			v.show()
		}
	}
	return p[1:]
}

// takePayload takes payload, and returns what follows it.
func (v *frameView) takePayload(p []byte) []byte {
	n := min(int64(len(p)), v.frame.Remaining)
	v.payload = append(v.payload, p[:min(int(n), maxShown-len(v.payload))]...)
	if v.frame.Remaining -= n; v.frame.Remaining == 0 {
		v.show()
	}
	return p[n:]
}

// show writes a frame.
func (v *frameView) show() {
	h := &v.frame
	if h.Masked {
		mask.XOR(v.payload, h.Key, 0)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %v, %s bytes", v.mark, h.Opcode, grouped(int(h.Length)))
	if h.Masked {
		fmt.Fprintf(&b, ", masked with %x", h.Key)
	}
	if h.Rsv != 0 {
		fmt.Fprintf(&b, ", RSV %03b", h.Rsv)
	}
	if !h.Fin {
		b.WriteString(", to be continued")
	}
	v.describe(&b)
	if more := h.Length - int64(len(v.payload)); more > 0 {
		fmt.Fprintf(&b, "%s   and %s bytes more\n", v.mark, grouped(int(more)))
	}
	io.WriteString(v.out, b.String())
}

// describe writes the payload, to the end of its line or lines.
func (v *frameView) describe(b *strings.Builder) {
	text := whole(v.payload)
	switch {
	case len(v.payload) == 0:
		b.WriteByte('\n')
	case v.frame.Opcode == engine.OpClose:
		code, reason, err := engine.ParseClose(v.payload)
		if err != nil {
			fmt.Fprintf(b, ": % x\n", v.payload)
			return
		}
		fmt.Fprintf(b, ": %v %q\n", code, reason)
	case v.isText(text):
		fmt.Fprintf(b, ": %q\n", text)
	default:
		b.WriteByte('\n')
		for line := range strings.Lines(hex.Dump(v.payload)) {
			fmt.Fprintf(b, "%s   %s", v.mark, line)
		}
	}
}

// isText reports whether a payload, of which this is the beginning, is to be shown as text.
func (v *frameView) isText(payload []byte) bool {
	switch {
	case v.frame.Rsv != 0: // compressed
		return false
	case v.frame.Opcode == engine.OpText:
		return true
	}
	return v.frame.Opcode != engine.OpBinary && utf8.Valid(payload)
}

// whole returns text without the beginning of a character at its end, if it was cut there.
func whole(text []byte) []byte {
	for cut := 1; len(text) == maxShown && cut < utf8.UTFMax; cut++ {
		if utf8.RuneStart(text[len(text)-cut]) && !utf8.FullRune(text[len(text)-cut:]) {
			return text[:len(text)-cut]
		}
	}
	return text
}
