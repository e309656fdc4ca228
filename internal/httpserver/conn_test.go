package httpserver

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/transport/h2"
)

func TestAMalformedRequestIsReset(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Error("the request reached the handler") })
	c := s.dial(t)
	c.request(1, true, withGet("connection: close"))
	c.expect("1 RST_STREAM PROTOCOL_ERROR")
	c.request(3, true, withGet("content-length: 1"))
	c.expect("3 RST_STREAM PROTOCOL_ERROR")
}

func TestAHeaderThatIsTooLargeGets431(t *testing.T) {
	s := &server{config: h2.Config{MaxHeaderBytes: 1000}, handler: func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header["A"]) > 0 {
			t.Error("the request reached the handler")
		}
	}}
	s.start(t)
	c := s.dial(t)
	c.request(1, true, withGet("a: "+strings.Repeat("x", 1000)))
	c.expect("1 HEADERS 431 END_STREAM")
	c.request(3, false, withGet("a: "+strings.Repeat("x", 1000)))
	c.expect("3 HEADERS 431 END_STREAM", "3 RST_STREAM NO_ERROR")
	c.request(5, true, withGet())
	c.expect("5 HEADERS 200 END_STREAM")
}

// A gate is a handler that counts the requests in it, and lets them go on one by one.
type gate struct {
	running, most, served atomic.Int32
	entered, open         chan struct{}
}

func newGate() *gate { return &gate{entered: make(chan struct{}, 1000), open: make(chan struct{})} }

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := g.running.Add(1)
	for most := g.most.Load(); n > most && !g.most.CompareAndSwap(most, n); most = g.most.Load() {
	}
	g.entered <- struct{}{}
	<-g.open
	g.running.Add(-1)
	g.served.Add(1)
}

func TestHandlersOfResetRequestsCount(t *testing.T) {
	g := newGate()
	s := &server{handler: g.ServeHTTP}
	s.conn.MaxHandlers = 2
	s.start(t)
	c := s.dial(t)
	id := uint32(1)
	for range 2 { // their handlers don't notice the reset
		c.request(id, true, withGet())
		await(t, g.entered, "request")
		c.WriteRSTStream(id, http2.ErrCodeCancel)
		id += 2
	}
	c.request(id, true, withGet()) // reset while it waits
	c.WriteRSTStream(id, http2.ErrCodeCancel)
	id += 2
	c.request(id, true, withGet()) // waits
	c.sync()
	if n := g.most.Load(); n != 2 {
		t.Errorf("%d handlers run", n)
	}
	g.open <- struct{}{}
	await(t, g.entered, "the request that waited")
	close(g.open)
	c.expect("7 HEADERS 200 END_STREAM")
	if most, served := g.most.Load(), g.served.Load(); most != 2 || served > 3 {
		t.Errorf("%d handlers at once, %d in all", most, served)
	}
}

func TestAClientThatResetsAllItsRequestsIsDisconnected(t *testing.T) {
	g := newGate()
	s := &server{handler: g.ServeHTTP}
	s.conn.MaxHandlers = 2
	s.start(t)
	c := s.dial(t)
	for id := uint32(1); id < 100; id += 2 {
		c.request(id, true, withGet())
		c.WriteRSTStream(id, http2.ErrCodeCancel)
	}
	for { // until GOAWAY, or until the system says that its bytes were not read
		f, err := c.ReadFrame()
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection goes on")
			}
			break
		}
		if goAway, ok := f.(*http2.GoAwayFrame); ok {
			if goAway.ErrCode != http2.ErrCodeEnhanceYourCalm {
				t.Error(goAway.ErrCode)
			}
			break
		}
	}
	if n := g.most.Load(); n > 2 {
		t.Errorf("%d handlers", n)
	}
	close(g.open)
}

func TestRequestsBelongToTheirConnection(t *testing.T) {
	got := make(chan *http.Request, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { got <- r })
	c := s.dial(t)
	c.request(1, true, append(withGet(), hpack.HeaderField{Name: "a", Value: "b"}))
	r := await(t, got, "request")
	if r.RemoteAddr != c.conn.LocalAddr().String() || r.TLS != nil || r.Body != http.NoBody || r.Header.Get("A") != "b" {
		t.Errorf("%+v", r)
	}
	await(t, r.Context().Done(), "end of the context after the handler")
}
