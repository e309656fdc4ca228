package httpserver

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"

	"github.com/seed004e8d11/websock/transport/h2"
)

// A body is the Body of a request. Close may be called during a Read, and makes it return.
type body struct {
	st              *h2.Stream
	r               *http.Request
	w               *response
	unread          int64 // what Content-Length has announced and was not read; -1: unknown
	expectsContinue bool  // until the first Read
	err             error // the end: what each later Read returns
	closed          atomic.Bool
}

// Errors of a body whose length differs from the Content-Length (RFC 9113 section 8.1.1).
var (
	errBodyLong  = errors.New("http2: the request's body is longer than its Content-Length")
	errBodyShort = errors.New("http2: the request's body is shorter than its Content-Length")
)

// Read reads from the body. After the read deadline it can be repeated.
func (b *body) Read(p []byte) (n int, err error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.expectsContinue {
		b.expectsContinue = false
		b.w.sendContinue()
	}
	if !b.closed.Load() {
		n, err = b.st.Read(p)
	}
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	if err == io.EOF {
		b.setTrailer()
		b.err = io.EOF
	}
	if b.unread >= 0 {
		n = b.checkLength(n)
	}
	if b.err != nil {
		return n, b.err
	}
	return n, err
}

// checkLength compares the body with its Content-Length after n more bytes, and returns how many of
// these belong to it.
func (b *body) checkLength(n int) int {
	switch {
	case int64(n) > b.unread:
		n, b.err = int(b.unread), errBodyLong
	case b.err == io.EOF && int64(n) < b.unread:
		b.err = errBodyShort
	default:
		b.unread -= int64(n)
		return n
	}
	b.st.Reset(http2.ErrCodeProtocol)
	return n
}

// setTrailer sets those values of Request.Trailer that the header has announced, as net/http does.
func (b *body) setTrailer() {
	for _, f := range b.st.Trailer() {
		key := http.CanonicalHeaderKey(f.Name)
		if _, announced := b.r.Trailer[key]; announced {
			b.r.Trailer[key] = append(b.r.Trailer[key], f.Value)
		}
	}
}

// Close makes each Read fail, also one that waits. What was not read is discarded when the handler
// has returned.
func (b *body) Close() error {
	b.closed.Store(true)
	return b.st.SetReadDeadline(time.Unix(1, 0))
}
