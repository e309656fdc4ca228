package httpserver

import (
	"context"
	"net/http"
	"runtime"
	"time"

	"golang.org/x/net/http2"

	"github.com/seed004e8d11/websock/transport/h2"
)

// An exchange is a request and its response.
type exchange struct {
	conn   *Conn
	st     *h2.Stream
	r      *http.Request
	cancel context.CancelFunc
	body   body
	w      response
}

func newExchange(c *Conn, st *h2.Stream, r *http.Request, expectsContinue bool) *exchange {
	x := &exchange{conn: c, st: st}
	ctx, cancel := context.WithCancel(c.Context)
	x.cancel = cancel
	r.RemoteAddr, r.TLS, r.Body = c.RemoteAddr, c.TLS, http.NoBody
	x.w = response{conn: c, st: st, method: r.Method, served: ctx}
	x.r = r.WithContext(ctx)
	if r.ContentLength != 0 {
		x.body = body{st: st, r: x.r, w: &x.w, unread: r.ContentLength, expectsContinue: expectsContinue}
		x.r.Body = &x.body
	}
	return x
}

// lost ends the exchange because the client has reset the stream, or the connection was lost.
func (x *exchange) lost(error) {
	x.cancel()
	x.conn.forget(x)
}

// serve calls the handler, and ends the response.
func (x *exchange) serve() {
	if x.r.Context().Err() != nil && x.conn.Context.Err() == nil {
		return // lost before it began
	}
	if t := x.conn.ReadTimeout; t > 0 {
		x.st.SetReadDeadline(time.Now().Add(t))
	}
	if t := x.conn.WriteTimeout; t > 0 {
		x.st.SetWriteDeadline(time.Now().Add(t))
	}
	returned := false
	defer func() {
		if !returned { // it has panicked, or called runtime.Goexit
			x.abort(recover())
		}
		x.cancel()
		if x.r.MultipartForm != nil {
			x.r.MultipartForm.RemoveAll()
		}
	}()
	x.conn.Handler.ServeHTTP(&x.w, x.r)
	returned = true
	x.finish()
}

// finish sends what remains of the response, and ends the stream, unless the handler has taken it.
// If the client still sends a body, it is told to stop (RFC 9113 section 8.1).
func (x *exchange) finish() {
	if x.w.phase == taken {
		return
	}
	x.w.finish()
	x.w.release()
	x.st.Drain(context.Background(), 0)
	x.st.Close()
}

// abort ends a stream whose handler has panicked with v, unless the handler has taken it.
func (x *exchange) abort(v any) {
	if v != nil && v != http.ErrAbortHandler {
		stack := make([]byte, 64<<10)
		stack = stack[:runtime.Stack(stack, false)]
		x.conn.Logf("http2: panic serving %v: %v\n%s", x.conn.RemoteAddr, v, stack)
	}
	if x.w.phase != taken {
		x.w.release()
		x.st.Reset(http2.ErrCodeInternal)
	}
}

// refuse answers a request with a status and no body.
func refuse(st *h2.Stream, code int) {
	st.SendHead(statusFields(code, 0), true)
	st.Close()
}
