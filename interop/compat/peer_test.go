package compat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// A session is one scenario with one library: the connection of the library, and the peer.
type session struct {
	t    *testing.T
	lib  *library
	conn conn
	peer *peer
	log  []string
}

// note records what a call has returned.
func (s *session) note(format string, args ...any) {
	for i, arg := range args {
		if err, ok := arg.(error); ok || arg == nil {
			args[i] = s.lib.describe(err)
		}
	}
	s.log = append(s.log, fmt.Sprintf(format, args...))
}

// read reads a message and notes it.
func (s *session) read() {
	messageType, p, err := s.conn.ReadMessage()
	s.note("read %d %q %v", messageType, cut(string(p)), err)
}

func (s *session) write(messageType int, text string) {
	s.note("write %v", s.conn.WriteMessage(messageType, []byte(text)))
}

// patience is how long a test waits for what comes at once, unless the machine is busy.
const patience = 30 * time.Second

// fill has another goroutine write, until it writes no more because the peer reads nothing.
func (s *session) fill() {
	var written atomic.Int64
	go func() {
		for s.conn.WriteMessage(binary, make([]byte, 1<<20)) == nil {
			written.Add(1)
		}
	}()
	before := int64(-1)
	for same := 0; same < 20; time.Sleep(25 * time.Millisecond) { // one look could be right after the machine stood still
		if now := written.Load(); now != before {
			before, same = now, 0
		} else {
			same++
		}
	}
}

// cut shortens the text of long messages.
func cut(text string) string {
	if len(text) > 40 {
		return fmt.Sprintf("%.8s… %d", text, len(text))
	}
	return text
}

// A peer sends frames, and notes those that come.
type peer struct {
	conn   net.Conn
	client bool
}

func (p *peer) send(op ws.OpCode, fin bool, payload string) {
	f := ws.NewFrame(op, fin, []byte(payload))
	if p.client {
		f = ws.MaskFrameInPlace(f)
	}
	ws.WriteFrame(p.conn, f) // the connection may be closed, and the log says so
}

func (p *peer) text(payload string) { p.send(ws.OpText, true, payload) }
func (p *peer) ping(payload string) { p.send(ws.OpPing, true, payload) }

func (p *peer) close(code int, reason string) {
	if code == 0 {
		p.send(ws.OpClose, true, "")
		return
	}
	p.send(ws.OpClose, true, string(ws.NewCloseFrameBody(ws.StatusCode(code), reason)))
}

// end ends the stream.
func (p *peer) end() { p.conn.(interface{ CloseWrite() error }).CloseWrite() }

// receive returns the frames that come until the stream ends, messages as one.
func (p *peer) receive() (frames []string) {
	p.conn.SetReadDeadline(time.Now().Add(patience))
	var message string
	for {
		f, err := readFrame(p.conn)
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isReset(err) {
				return append(frames, "end")
			}
			return append(frames, err.Error())
		}
		switch {
		case f.Header.OpCode == ws.OpClose && len(f.Payload) == 0:
			frames = append(frames, "close")
		case f.Header.OpCode == ws.OpClose: // the texts of errors differ
			code, _ := ws.ParseCloseFrameData(f.Payload)
			frames = append(frames, fmt.Sprintf("close %d", code))
		case f.Header.OpCode.IsControl():
			frames = append(frames, fmt.Sprintf("control %d %q", f.Header.OpCode, f.Payload))
		default:
			message += string(f.Payload)
			if f.Header.Fin {
				frames, message = append(frames, fmt.Sprintf("message %q", cut(message))), ""
			}
		}
	}
}

// readFrame reads a frame of at most 1 MiB, and unmasks it.
func readFrame(r io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(r); err != nil {
		return f, err
	}
	if f.Header.Length > 1<<20 {
		return f, errors.New("a frame of more than 1 MiB")
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(r, f.Payload)
	return ws.UnmaskFrameInPlace(f), err
}

func isReset(err error) bool { return strings.Contains(err.Error(), "reset") }

// play runs a scenario with a library in one role, and returns what it has noted and what the peer
// got.
func play(t *testing.T, lib *library, server bool, s scenario) []string {
	t.Helper()
	se := &session{t: t, lib: lib}
	opened := make(chan func(), 1)
	handler := func(w http.ResponseWriter, r *http.Request) {
		if server {
			c, err := lib.upgrade(w, r, nil, options{})
			if err != nil {
				t.Error(err)
			}
			opened <- func() { se.conn = c }
			return
		}
		c, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			t.Error(err)
		}
		opened <- func() { se.peer = &peer{conn: c} }
	}
	host := httptest.NewServer(http.HandlerFunc(handler))
	defer host.Close()
	url := "ws" + strings.TrimPrefix(host.URL, "http")
	var err error
	if server {
		var c net.Conn
		c, _, _, err = ws.Dial(context.Background(), url)
		se.peer = &peer{conn: c, client: true}
	} else {
		se.conn, _, err = lib.dial(context.Background(), url, nil, options{})
	}
	if err != nil {
		t.Fatal(err)
	}
	(<-opened)()
	defer se.peer.conn.Close()
	got := make(chan []string, 1)
	if !s.stalled {
		go func() { got <- se.peer.receive() }()
	}
	s.play(se)
	se.conn.Close()
	if s.stalled {
		return se.log
	}
	return append(append(se.log, "peer:"), <-got...)
}
