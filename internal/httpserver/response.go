package httpserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/transport/h2"
)

// Sizes in bytes.
const (
	bufferSize = 4 << 10  // a response up to this size is sent with one write, unless it is flushed
	pieceSize  = 32 << 10 // how much of a Write is queued at once
	maxQueued  = 32 << 10 // how much may be queued when a Write returns
)

var errReturned = errors.New("http2: the handler of this response has returned")

// A phase says how far a response is.
type phase uint8

const (
	empty    phase = iota // no status yet
	chosen                // the status and the header are fixed
	begun                 // the header was sent
	taken                 // the stream was taken, or lost while it was
	finished              // the handler has returned
)

// A response is the http.ResponseWriter of a request. One goroutine at a time uses it, as net/http
// says; Body.Read only calls sendContinue.
type response struct {
	conn    *Conn
	st      *h2.Stream
	method  string          // of the request
	served  context.Context // of the request
	header  http.Header
	body    *buffer.Buffer // what is not sent yet; nil if nothing
	written int64          // by the handler, in bytes
	err     error          // of sending; final

	// What was chosen.
	status   int
	fields   []hpack.HeaderField
	declared int64    // Content-Length; -1: none
	sniffed  bool     // the Content-Type is that of the first bytes
	closes   bool     // the client should open no more streams
	trailers []string // names of fields that belong to the trailer

	mu    sync.Mutex // held while a header is sent, too: status 100 must not follow another one
	phase phase
}

// Header returns the header, which can be changed until it is sent, and the trailer thereafter.
func (w *response) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

// WriteHeader chooses the status, or sends an informational one. It panics if the code is not one of
// three digits, as that of net/http does.
func (w *response) WriteHeader(code int) {
	if code < 100 || code > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", code))
	}
	if code == http.StatusSwitchingProtocols || !w.writeHeader(code) {
		w.conn.Logf("http2: superfluous response.WriteHeader call with status %d", code) // for 101: RFC 9113 section 8.6
	}
}

// writeHeader returns false if there is a status already.
func (w *response) writeHeader(code int) bool {
	session := w.st.Session()
	session.Cork()
	defer session.Flush() // with w unlocked
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.phase != empty:
		return false
	case code < 200:
		w.st.SendHead(appendHeader(statusFields(code, len(w.header)), w.header, describesBody), false)
	default:
		w.chooseLocked(code)
	}
	return true
}

// describesBody chooses the fields that an informational response doesn't have.
func describesBody(key string) bool { return key == "Content-Length" }

// sendContinue sends status 100, unless the response has begun.
func (w *response) sendContinue() {
	session := w.st.Session()
	session.Cork()
	defer session.Flush() // with w unlocked
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.phase < begun {
		w.st.SendHead(statusFields(http.StatusContinue, 0), false)
	}
}

// chooseLocked fixes the status and the header. Later changes of the header have no effect.
func (w *response) chooseLocked(code int) {
	w.phase, w.status, w.declared = chosen, code, -1
	if n, err := strconv.ParseUint(w.header.Get("Content-Length"), 10, 63); err == nil {
		w.declared = int64(n)
	}
	for _, value := range w.header["Trailer"] {
		for name := range strings.SplitSeq(value, ",") {
			w.announceTrailer(strings.TrimSpace(name))
		}
	}
	w.fields = appendHeader(statusFields(code, len(w.header)+3), w.header, func(key string) bool {
		return key == "Content-Length" || strings.HasPrefix(key, http.TrailerPrefix)
	})
	if _, ok := w.header["Date"]; !ok {
		w.addField("date", time.Now().UTC().Format(http.TimeFormat))
	}
	_, hasType := w.header["Content-Type"]
	w.sniffed = !hasType && w.header.Get("Content-Encoding") == ""
	w.closes = w.header.Get("Connection") == "close"
}

func (w *response) addField(name, value string) {
	w.fields = append(w.fields, hpack.HeaderField{Name: name, Value: value})
}

func (w *response) announceTrailer(name string) {
	key := http.CanonicalHeaderKey(name)
	if httpguts.ValidTrailerHeader(key) && !slices.Contains(w.trailers, key) {
		w.trailers = append(w.trailers, key)
	}
}

// prepare prepares a write of n bytes.
func (w *response) prepare(n int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch w.phase {
	case empty:
		w.chooseLocked(http.StatusOK)
	case taken:
		return http.ErrHijacked
	case finished:
		return errReturned
	}
	switch {
	case !w.mayHaveBody():
		return http.ErrBodyNotAllowed
	case w.declared >= 0 && int64(n) > w.declared-w.written:
		return http.ErrContentLength
	}
	w.written += int64(n)
	if w.body == nil {
		w.body = buffer.Get(bufferSize)
	}
	return w.err
}

// mayHaveBody reports whether the status allows a body (RFC 9110 section 6.4.1).
func (w *response) mayHaveBody() bool {
	return w.status != http.StatusNoContent && w.status != http.StatusNotModified
}

// Write writes to the response. Small writes are buffered. It waits for the client if that is slow.
func (w *response) Write(p []byte) (int, error) {
	if err := w.prepare(len(p)); err != nil {
		return 0, err
	}
	n := min(len(p), bufferSize-len(w.body.B))
	w.body.B = append(w.body.B, p[:n]...)
	if n < len(p) {
		if err := w.send(p[n:]); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// WriteString is Write for a string.
func (w *response) WriteString(s string) (int, error) {
	if err := w.prepare(len(s)); err != nil {
		return 0, err
	}
	n := min(len(s), bufferSize-len(w.body.B))
	w.body.B = append(w.body.B, s[:n]...)
	if n < len(s) {
		if err := w.send([]byte(s[n:])); err != nil {
			return 0, err
		}
	}
	return len(s), nil
}

// Flush is FlushError without the error.
func (w *response) Flush() { w.FlushError() }

// FlushError sends the header and what is buffered.
func (w *response) FlushError() error {
	w.mu.Lock()
	switch w.phase {
	case empty:
		w.chooseLocked(http.StatusOK)
	case taken, finished:
		w.mu.Unlock()
		return errReturned
	}
	w.mu.Unlock()
	return w.send(nil)
}

// SetReadDeadline sets the deadline of reads from the request's body.
func (w *response) SetReadDeadline(t time.Time) error {
	if w.over() {
		return errReturned
	}
	return w.st.SetReadDeadline(t)
}

// SetWriteDeadline sets the deadline of the response: what the client has not taken by then fails, and
// the stream with it.
func (w *response) SetWriteDeadline(t time.Time) error {
	if w.over() {
		return errReturned
	}
	return w.st.SetWriteDeadline(t)
}

// CloseNotify returns a channel that gets a value when the context of the request ends. It is deprecated,
// but net/http's own server has it, and wrappers of middleware call it without asking.
func (w *response) CloseNotify() <-chan bool {
	gone := make(chan bool, 1)
	context.AfterFunc(w.served, func() { gone <- true })
	return gone
}

// EnableFullDuplex does nothing: the body can always be read during the response.
func (w *response) EnableFullDuplex() error { return nil }

// over reports whether the stream is the handler's no more, or only the handler's.
func (w *response) over() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.phase >= taken
}

// TakeStream sends the header of a response to a CONNECT request, and gives the stream to the caller:
// it has no deadlines then, and outlives the handler. header is the whole header, with which nothing of
// Header is sent. After an error there is no stream.
func (w *response) TakeStream(status int, header http.Header) (*h2.Stream, error) {
	if !w.take(status, header) {
		return nil, errors.New("http2: only a CONNECT request without a response can be taken over")
	}
	w.st.OnEnd(nil)
	w.st.SetReadDeadline(time.Time{})
	w.st.SetWriteDeadline(time.Time{})
	if err := w.sendHeadTogether(); err != nil {
		w.st.Close()
		return nil, err
	}
	return w.st, nil
}

// sendHeadTogether sends the header. If the handlers of other requests of the connection can run, their
// headers leave in the same write.
func (w *response) sendHeadTogether() error {
	session := w.st.Session()
	session.Cork()
	defer session.Flush()
	err := w.st.SendHead(w.fields, false)
	if err == nil {
		runtime.Gosched()
	}
	return err
}

func (w *response) take(status int, header http.Header) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.phase != empty || w.method != http.MethodConnect {
		return false
	}
	w.header = header
	w.chooseLocked(status)
	w.phase = taken
	return true
}

// release frees the buffer when the handler has returned.
func (w *response) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phase = finished
	if w.body != nil {
		w.body.Put()
		w.body = nil
	}
}
