package httpserver

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// send sends the header, what is buffered, and p. Then it waits until little is queued.
func (w *response) send(p []byte) error {
	for w.err == nil {
		n := min(len(p), pieceSize)
		w.fail(w.sendPiece(p[:n], false))
		w.fail(w.st.Drain(context.Background(), maxQueued))
		if p = p[n:]; len(p) == 0 {
			break
		}
	}
	return w.err
}

// finish sends the rest of a response whose handler has returned.
func (w *response) finish() {
	w.mu.Lock()
	if w.phase == empty {
		w.chooseLocked(http.StatusOK)
	}
	w.mu.Unlock()
	if w.err == nil {
		w.fail(w.sendPiece(nil, true))
	}
}

// fail notes an error of sending. If the client was too slow, it ends the stream.
func (w *response) fail(err error) {
	if w.err != nil || err == nil {
		return
	}
	w.err = err
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.st.Reset(http2.ErrCodeInternal)
	}
}

// sendPiece sends the header, what is buffered, and p, in one write. last says that the response ends
// with them.
func (w *response) sendPiece(p []byte, last bool) error {
	session := w.st.Session()
	session.Cork()
	defer session.Flush()
	var buffered []byte
	if w.body != nil {
		buffered = w.body.B
		w.body.B = buffered[:0]
	}
	var trailer []hpack.HeaderField
	if last {
		trailer = w.trailer()
	}
	size, isHead := len(buffered)+len(p), w.method == http.MethodHead
	if w.phase < begun {
		if last {
			w.declareLength(size)
		}
		w.addContentType(buffered, p)
		alone := isHead || last && size == 0 && len(trailer) == 0
		if err := w.sendHeader(alone); err != nil || alone {
			return err
		}
	}
	if size > 0 && !isHead {
		if err := w.st.Writev(buffered, p); err != nil {
			return err
		}
	}
	switch {
	case !last || isHead:
		return nil
	case len(trailer) > 0:
		return w.st.SendHead(trailer, true)
	}
	return w.st.CloseWrite()
}

// declareLength sets the Content-Length of a whole response whose handler hasn't.
func (w *response) declareLength(size int) {
	if w.declared < 0 && w.mayHaveBody() && (size > 0 || w.method != http.MethodHead) {
		w.declared = int64(size)
	}
}

// addContentType adds the Content-Type of a body that begins with one of these.
func (w *response) addContentType(buffered, p []byte) {
	if len(buffered) == 0 {
		buffered = p
	}
	if w.sniffed && len(buffered) > 0 {
		w.addField("content-type", http.DetectContentType(buffered))
	}
}

// sendHeader sends the header that was chosen.
func (w *response) sendHeader(endStream bool) error {
	if w.declared >= 0 && w.status != http.StatusNoContent && !w.connects() {
		w.addField("content-length", strconv.FormatInt(w.declared, 10))
	}
	if w.closes {
		w.st.Session().Shutdown()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phase = begun
	return w.st.SendHead(w.fields, endStream)
}

// connects reports whether the response accepts a CONNECT. It has no length then (RFC 9110 section
// 9.3.6).
func (w *response) connects() bool { return w.method == http.MethodConnect && w.status < 300 }

// trailer returns the fields of the trailer: those that were announced, and those with
// http.TrailerPrefix.
func (w *response) trailer() (list []hpack.HeaderField) {
	for key, values := range w.header {
		if name, ok := strings.CutPrefix(key, http.TrailerPrefix); ok && httpguts.ValidTrailerHeader(http.CanonicalHeaderKey(name)) {
			list = appendField(list, name, values)
		}
	}
	for _, key := range w.trailers {
		list = appendField(list, key, w.header[key])
	}
	return list
}
