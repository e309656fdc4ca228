package connect

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/net/http2"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/mask"
	"github.com/seed004e8d11/websock/transport"
)

// A frameLogger is a transport that also writes every frame to out in a readable form, each in
// one call. Of an HTTP/2 connection these are its frames, and the WebSocket frames in them.
type frameLogger struct {
	websock.Transport
	out io.Writer
}

// Attach logs what passes between conn and the transport.
func (l frameLogger) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	c := &loggedConn{Conn: conn, out: l.out}
	c.log(false, early)
	return l.Transport.Attach(c, early)
}

// AttachTLS is Attach for a TLS connection: the frames of the encrypted connection underneath
// can't be read.
func (l frameLogger) AttachTLS(conn net.Conn, early []byte) (transport.Conn, error) {
	return l.Attach(conn, early)
}

// A loggedConn is a connection whose frames are logged.
type loggedConn struct {
	net.Conn
	out io.Writer

	mu             sync.Mutex
	sent, received interface{ add(p []byte) } // nil: nothing has passed
}

func (c *loggedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.log(false, p[:n])
	return n, err
}

// Write logs before it writes, so that the log never shows a reply before its request.
func (c *loggedConn) Write(p []byte) (int, error) {
	c.log(true, p)
	return c.Conn.Write(p)
}

// Close also logs a frame of which only a part has come.
func (c *loggedConn) Close() error {
	err := c.Conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if received, ok := c.received.(*frameLog); ok {
		received.end()
	}
	return err
}

// log logs bytes that were sent or received.
func (c *loggedConn) log(sent bool, p []byte) {
	if len(p) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.sent != nil:
	case beginsHTTP2(sent, p):
		c.sent, c.received = newHTTP2Log(">", c.out, http2.ClientPreface), newHTTP2Log("<", c.out, "")
	default:
		c.sent, c.received = &frameLog{mark: ">", out: c.out}, &frameLog{mark: "<", out: c.out}
	}
	if sent {
		c.sent.add(p)
	} else {
		c.received.add(p)
	}
}

// maxShown is how many bytes of a payload are shown.
const maxShown = 256

// A frameLog parses the frames of one direction and writes them to out.
type frameLog struct {
	mark    string // "<" or ">"
	out     io.Writer
	invalid bool   // the bytes are not frames
	head    []byte // of an incomplete header
	frame   websock.Header
	payload []byte // beginning of the payload, still masked
}

// add logs the frames that p completes.
func (l *frameLog) add(p []byte) {
	for len(p) > 0 && !l.invalid {
		if l.frame.Remaining > 0 {
			p = l.addPayload(p)
			continue
		}
		p = l.addHeader(p)
	}
}

// addHeader consumes one byte of a header and returns the rest.
func (l *frameLog) addHeader(p []byte) []byte {
	l.head = append(l.head, p[0])
	header, n, err := engine.ParseHeader(l.head)
	switch {
	case err != nil:
		fmt.Fprintf(l.out, "%s no frame: % x\n", l.mark, l.head)
		l.invalid = true
	case n > 0:
		l.frame, l.head, l.payload = header, l.head[:0], l.payload[:0]
		if l.frame.Remaining == 0 {
			l.write()
		}
	}
	return p[1:]
}

// addPayload consumes payload and returns the rest.
func (l *frameLog) addPayload(p []byte) []byte {
	n := min(int64(len(p)), l.frame.Remaining)
	l.payload = append(l.payload, p[:min(int(n), maxShown-len(l.payload))]...)
	if l.frame.Remaining -= n; l.frame.Remaining == 0 {
		l.write()
	}
	return p[n:]
}

// end logs a frame that is not complete. Nothing is logged after it.
func (l *frameLog) end() {
	if l.frame.Remaining > 0 && !l.invalid {
		l.write()
	}
	l.invalid = true
}

// write writes the frame, or what has come of it.
func (l *frameLog) write() {
	h := &l.frame
	if h.Masked {
		mask.XOR(l.payload, h.Key, 0)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %v, %s bytes", l.mark, h.Opcode, console.Grouped(int(h.Length)))
	if h.Masked {
		fmt.Fprintf(&b, ", masked with %x", h.Key)
	}
	if h.Rsv != 0 {
		fmt.Fprintf(&b, ", RSV %03b", h.Rsv)
	}
	if !h.Fin {
		b.WriteString(", to be continued")
	}
	came := h.Length - h.Remaining
	if h.Remaining > 0 {
		fmt.Fprintf(&b, ", of which %s came", console.Grouped(int(came)))
	}
	l.writePayload(&b)
	if more := came - int64(len(l.payload)); more > 0 {
		fmt.Fprintf(&b, "%s   and %s bytes more\n", l.mark, console.Grouped(int(more)))
	}
	io.WriteString(l.out, b.String())
}

// writePayload completes the line with the payload, or adds lines for it.
func (l *frameLog) writePayload(b *strings.Builder) {
	text := withoutPartialRune(l.payload)
	switch {
	case len(l.payload) == 0:
		b.WriteByte('\n')
	case l.frame.Opcode == websock.OpClose:
		code, reason, err := engine.ParseClose(l.payload)
		if err != nil {
			fmt.Fprintf(b, ": % x\n", l.payload)
			return
		}
		fmt.Fprintf(b, ": %v %q\n", code, reason)
	case l.isText(text):
		fmt.Fprintf(b, ": %q\n", text)
	default:
		b.WriteByte('\n')
		for line := range strings.Lines(hex.Dump(l.payload)) {
			fmt.Fprintf(b, "%s   %s", l.mark, line)
		}
	}
}

// isText reports whether a payload with this beginning is shown as text.
func (l *frameLog) isText(payload []byte) bool {
	switch {
	case l.frame.Rsv != 0: // compressed
		return false
	case l.frame.Opcode == websock.OpText:
		return true
	}
	return l.frame.Opcode != websock.OpBinary && utf8.Valid(payload)
}

// withoutPartialRune removes the rune at the end of a payload that maxShown has cut.
func withoutPartialRune(text []byte) []byte {
	for cut := 1; len(text) == maxShown && cut < utf8.UTFMax; cut++ {
		if utf8.RuneStart(text[len(text)-cut]) && !utf8.FullRune(text[len(text)-cut:]) {
			return text[:len(text)-cut]
		}
	}
	return text
}
