package websock

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport/std"
)

// seen hands over the connections that a handler accepts.
func seen(opts *AcceptOptions, conns chan<- *engine.Conn, then func(*engine.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, opts)
		if err != nil {
			return
		}
		conns <- c
		then(c)
	}
}

// echoAll sends back what comes until the end.
func echoAll(c *engine.Conn) {
	defer c.Close()
	for {
		op, msg, err := c.RecvMessage(nil)
		if err != nil {
			return
		}
		c.SendFrame(op, true, msg)
	}
}

func TestCompressionIsAgreedByBothSides(t *testing.T) {
	message := bytes.Repeat([]byte("compress me "), 1000)
	for _, test := range []struct{ client, server, want engine.Compression }{
		{engine.DefaultCompression, engine.DefaultCompression, engine.DefaultCompression},
		{engine.DefaultCompression, engine.Compression{}, engine.Compression{}},
		{engine.Compression{}, engine.DefaultCompression, engine.Compression{}},
	} {
		conns := make(chan *engine.Conn, 1)
		url := server(t, seen(&AcceptOptions{Compression: test.server}, conns, echoAll))
		c, err := Dial(t.Context(), url, &Config{Compression: test.client})
		if err != nil {
			t.Fatal(err)
		}
		accepted := <-conns
		if got, theirs := c.Compression(), accepted.Compression(); got != test.want || theirs != test.want {
			t.Errorf("%+v and %+v, want %+v", got, theirs, test.want)
		}
		if err := c.SendText(message); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.RecvMessage(nil); err != nil || !bytes.Equal(got, message) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		c.RecvTimeout(nil, 0)
		stats, compressed := c.Stats(), !test.want.IsOff()
		if compressed != (stats.WireSent < 1000) || compressed != (stats.BeforeInflate > 0) {
			t.Errorf("%+v", stats)
		}
		c.Close()
	}
}

// A Handler that pauses while a message is being inflated gets the rest though nothing more
// comes.
func TestAPauseInACompressedMessageLosesNothing(t *testing.T) {
	var message []byte
	for i := range 20000 {
		message = fmt.Appendf(message, "%d,", i)
	}
	conns := make(chan *engine.Conn, 1)
	url := server(t, seen(&AcceptOptions{Compression: engine.DefaultCompression}, conns, func(c *engine.Conn) {
		c.SendText(message)
		c.RecvMessage(nil)
		c.Close()
	}))
	got := make(chan []byte, 1)
	h := &pausing{whole: got}
	c, err := Dial(t.Context(), url, &Config{Compression: engine.DefaultCompression, Transport: std.Transport(), Handler: h})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	select {
	case msg := <-got:
		if !bytes.Equal(msg, message) || h.calls < 2 {
			t.Errorf("%d bytes of %d, in %d calls", len(msg), len(message), h.calls)
		}
	case <-time.After(30 * time.Second):
		t.Error("the rest never came")
	}
	<-conns
}

// A pausing Handler rests after every call.
type pausing struct {
	msg   []byte
	calls int
	whole chan<- []byte
}

func (p *pausing) OnData(c *engine.Conn, h engine.Header, payload []byte) {
	p.msg = append(p.msg, payload...)
	p.calls++
	c.Pause()
	if h.Fin && h.Remaining == 0 {
		p.whole <- p.msg
	}
	go c.Resume()
}

func (p *pausing) OnClose(*engine.Conn, error) {}
