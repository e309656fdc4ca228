package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// A Writer writes a recording. Its methods may be called from any goroutine; lines are in the order of the
// calls. After an error, all calls return it. A nil Writer writes nothing.
type Writer struct {
	mu    sync.Mutex
	file  io.WriteCloser
	begin time.Time // of the connection
	state state
	err   error
}

// A state is what a Writer or Reader is at.
type state int

const (
	beforeFirst state = iota // only a Header can follow
	inConn
	ended // only a Header can follow
)

// Create creates a recording that only the user can read. A file of this name must not exist, unless it is
// no regular file: a pipe or a device.
func Create(name string) (*Writer, error) {
	const owner = 0o600
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, owner)
	if errors.Is(err, fs.ErrExist) {
		if info, failed := os.Stat(name); failed == nil && !info.Mode().IsRegular() {
			file, err = os.OpenFile(name, os.O_WRONLY, 0)
		}
	}
	if err != nil {
		return nil, err
	}
	return &Writer{file: file}, nil
}

// Begin begins a connection that has just been opened. It sets the Start of h.
func (w *Writer) Begin(h Header) error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begin, w.state = time.Now(), inConn
	return w.writeLocked(headerLine{format, version, w.begin, h.URL, h.QueryHidden, h.Subprotocol})
}

// Message writes a message, a ping or a pong. One that can't be sent is not written: text that is not
// UTF-8, and a ping or a pong that is too long.
func (w *Writer) Message(from websock.Role, op websock.Opcode, payload []byte) error {
	if w == nil || op == websock.OpText && !utf8.Valid(payload) || op.IsControl() && len(payload) > maxControl {
		return nil
	}
	if len(payload) > MaxMessage {
		return errTooLarge
	}
	return w.event(Event{From: from, Opcode: op, Payload: payload})
}

// End writes how the connection ended: err is that of a receive. Only the first call for a connection has an
// effect.
func (w *Writer) End(err error) error {
	if w == nil {
		return nil
	}
	end := Event{From: websock.Server, Opcode: Lost, Reason: console.ErrorText(err)}
	var closed *websock.CloseError
	if errors.As(err, &closed) && closed.Code != websock.CloseAbnormal {
		end.Opcode, end.Code, end.Reason = websock.OpClose, closed.Code, closed.Reason
		if closed.Local {
			end.From = websock.Client
		}
	}
	return w.event(end)
}

// event writes an event of now.
func (w *Writer) event(e Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state != inConn {
		return w.err
	}
	if e.IsEnd() {
		w.state = ended
	}
	e.Time = time.Since(w.begin)
	return w.writeLocked(newEventLine(&e))
}

// writeLocked writes a line with a single write.
func (w *Writer) writeLocked(line any) error {
	if w.err != nil {
		return w.err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if w.err = e.Encode(line); w.err == nil {
		_, w.err = w.file.Write(b.Bytes())
	}
	return w.err
}

// Close closes the file.
func (w *Writer) Close() error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(w.err, w.file.Close())
}

// hidden replaces what may be a credential.
const hidden = "xxxxx"

// HideQuery returns a URL with the values of its query replaced, and whether there were any.
func HideQuery(url string) (string, bool) {
	base, query, found := strings.Cut(url, "?")
	if !found || query == "" {
		return url, false
	}
	parts := strings.Split(query, "&")
	for i, part := range parts {
		name, _, isPair := strings.Cut(part, "=")
		if isPair {
			parts[i] = name + "=" + hidden
		} else {
			parts[i] = hidden
		}
	}
	return base + "?" + strings.Join(parts, "&"), true
}
