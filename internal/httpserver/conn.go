package httpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"github.com/seed004e8d11/websock/transport/h2"
)

// A Conn serves the requests of one HTTP/2 connection. Its fields are set before its first request.
type Conn struct {
	Handler    http.Handler
	Context    context.Context      // that of all requests ends with it
	TLS        *tls.ConnectionState // nil: none
	RemoteAddr string

	// MaxHandlers is how many handlers run at once. A stream that the client has reset does not
	// count for MaxStreams of an h2.Session any more, but its handler still runs, and so counts here.
	MaxHandlers int

	ReadTimeout  time.Duration // of the body of a request; 0: none
	WriteTimeout time.Duration // of a response, from its request on; 0: none

	Logf func(format string, args ...any)

	mu      sync.Mutex
	running int         // handlers
	waiting []*exchange // for a handler to return
}

// maxWaiting is how many requests may wait for a handler, for each that may run. A client that keeps
// to the limit of streams only gets there by resetting them.
const maxWaiting = 4

var errManyResets = errors.New("the client has reset too many requests that were not yet served")

// Request serves a request: it is h2.Config.Request.
func (c *Conn) Request(st *h2.Stream, h h2.Head) {
	if h.Truncated {
		refuse(st, http.StatusRequestHeaderFieldsTooLarge)
		return
	}
	r, expectsContinue, err := newRequest(h.Fields, h.EndStream)
	if err != nil {
		st.Reset(http2.ErrCodeProtocol)
		return
	}
	x := newExchange(c, st, r, expectsContinue)
	st.OnEnd(x.lost) // before the handler may take the stream
	c.schedule(x)
}

// schedule has a request served, now or when a handler has returned.
func (c *Conn) schedule(x *exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.running < c.MaxHandlers:
		c.running++
		go c.serve(x)
	case len(c.waiting) < maxWaiting*c.MaxHandlers:
		c.waiting = append(c.waiting, x)
	default:
		go x.st.Session().Close(http2.ErrCodeEnhanceYourCalm, errManyResets) // not with the lock held
	}
}

// serve serves a request, and then starts to serve one that waits.
func (c *Conn) serve(x *exchange) {
	defer c.next() // also if the handler ends its goroutine
	x.serve()
}

// next starts to serve a request that waits. If there is none, a handler less is running.
func (c *Conn) next() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.waiting) > 0 {
		x := c.waiting[0]
		c.waiting = c.waiting[1:]
		if x != nil {
			go c.serve(x)
			return
		}
	}
	c.waiting = nil
	c.running--
}

// forget frees a request that was reset while it waited. Its place stays taken until a handler
// returns, so that a client which resets its requests gets to the limit.
func (c *Conn) forget(x *exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.waiting, x); i >= 0 {
		c.waiting[i] = nil
	}
}
