package h3_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/h2"
	"github.com/seed004e8d11/websock/transport/h3"
)

var update = flag.Bool("update", false, "write docs/http3-faults.md instead of comparing with it")

const document = "../../docs/http3-faults.md"

// A fault is what a server does to a client that opens a WebSocket, and receives until there is an error.
type fault struct {
	what    string
	serve   func(c *rawConn)
	timeout time.Duration // of the Dialer; 0: more than is ever needed
	body    int           // bytes of a body that come, for which a Dial doesn't wait for long
}

var faults = []fault{
	{what: "offers no extended CONNECT", serve: func(c *rawConn) { c.settle(nil) }},
	{what: "sends no settings", serve: func(c *rawConn) {}, timeout: 500 * time.Millisecond},
	{what: "sends a setting of HTTP/2", serve: func(c *rawConn) { c.settle(slices.Concat(varints(0x3, 100), extendedConnect)) }},
	{what: "sends a setting twice", serve: func(c *rawConn) { c.settle(slices.Concat(extendedConnect, extendedConnect)) }},
	{what: "begins its control stream with another frame", serve: func(c *rawConn) { c.open(varints(0), frame(0x7, varints(0))) }},
	{what: "ends its control stream", serve: func(c *rawConn) {
		c.settle(extendedConnect)
		if c.opened() != nil {
			c.control.Close()
		}
	}},
	{what: "sends settings again", serve: onControl(frame(0x4, nil))},
	{what: "sends DATA on its control stream", serve: onControl(frame(0x0, []byte("hello")))},
	{what: "sends a frame of 2^61 bytes on its control stream", serve: onControl(varints(0x21, 1<<61))},
	{what: "sends GOAWAY with the ID of another stream", serve: onControl(frame(0x7, varints(2)))},
	{what: "sends GOAWAY with a larger ID than before", serve: onControl(frame(0x7, varints(4)), frame(0x7, varints(8)))},
	{what: "opens a second control stream", serve: onUni(varints(0), frame(0x4, nil))},
	{what: "opens a push stream", serve: onUni(varints(1, 0))},
	{what: "opens a stream of an unknown type, then closes", serve: func(c *rawConn) {
		c.settle(extendedConnect)
		if s := c.opened(); s != nil {
			c.openUni(varints(0x21), []byte("something"))
			s.Write(normalClose)
			s.Close()
		}
	}},

	{what: "resets the stream instead of an answer", serve: func(c *rawConn) {
		c.settle(extendedConnect)
		reset(c.request(), http3.ErrCodeInternalError)
	}},
	{what: "rejects the stream, again and again", serve: func(c *rawConn) {
		c.settle(extendedConnect)
		for s := c.request(); s != nil; s = c.request() {
			reset(s, http3.ErrCodeRequestRejected)
		}
	}},
	{what: "ends the stream instead of an answer", serve: func(c *rawConn) {
		c.settle(extendedConnect)
		if s := c.request(); s != nil {
			s.Close()
		}
	}},
	{what: "answers 403, with a body without end", serve: answering(false, forbidden, frame(0x0, []byte("You are not wanted.\n")), varints(0x0, 1<<40), bytes.Repeat([]byte("."), 10_000)), body: 1 << 10},
	{what: "answers 403, and ends the stream", serve: answering(true, forbidden)},
	{what: "answers with informational responses without end", serve: answering(false, bytes.Repeat(early, 1_000))},
	{what: "answers with a header of 2^61 bytes", serve: answering(false, varints(0x1, 1<<61), make([]byte, 100_000))},
	{what: "answers with a header that can't be decompressed", serve: answering(false, frame(0x1, []byte{0, 0, 0x80}))},
	{what: "answers without a status", serve: answering(false, frame(0x1, []byte{0, 0}))},
	{what: "answers with DATA", serve: answering(false, frame(0x0, []byte("hello")))},
	{what: "answers with a frame of an unknown type, without end", serve: answering(true, varints(0x21, 1<<40), make([]byte, 100_000))},

	{what: "ends the stream between messages", serve: answering(true, accepted, hello)},
	{what: "ends the stream in a message", serve: answering(true, accepted, frame(0x0, []byte{0x81, 5, 'h', 'e'}))},
	{what: "ends the stream in a DATA frame", serve: answering(true, accepted, hello[:4])},
	{what: "ends the stream with a trailer", serve: answering(true, accepted, hello, frame(0x1, []byte{0, 0}))},
	{what: "sends SETTINGS on the stream", serve: answering(false, accepted, hello, frame(0x4, nil))},
	{what: "sends a frame of HTTP/2 on the stream", serve: answering(false, accepted, hello, frame(0x2, make([]byte, 5)))},
	{what: "sends 20,000 frames of unknown types, then closes", serve: answering(true, accepted, bytes.Repeat(frame(0x21, []byte("greased")), 20_000), normalClose)},
	{what: "sends 20,000 empty DATA frames, then closes", serve: answering(true, accepted, bytes.Repeat(frame(0x0, nil), 20_000), normalClose)},
	{what: "resets the stream", serve: func(c *rawConn) {
		c.settle(extendedConnect)
		reset(c.opened(), http3.ErrCodeInternalError)
	}},
	{what: "ends the connection", serve: func(c *rawConn) {
		c.settle(extendedConnect)
		c.opened()
		c.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "good bye")
	}},
	{what: "ends the connection with an error", serve: func(c *rawConn) {
		c.settle(extendedConnect)
		c.opened()
		c.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad), "too much")
	}},
	{what: "sends GOAWAY, then closes", serve: func(c *rawConn) {
		c.settle(extendedConnect)
		if s := c.opened(); s != nil {
			c.control.Write(frame(0x7, varints(4)))
			s.Write(normalClose)
			s.Close()
		}
	}},
}

// normalClose is a DATA frame with a close frame.
var normalClose = frame(0x0, []byte{0x88, 2, 0x03, 0xe8})

// onControl sends something on the control stream when a WebSocket is open.
func onControl(parts ...[]byte) func(*rawConn) {
	return func(c *rawConn) {
		c.settle(extendedConnect)
		if c.opened() != nil {
			c.control.Write(bytes.Join(parts, nil))
		}
	}
}

// onUni opens a unidirectional stream when a WebSocket is open.
func onUni(parts ...[]byte) func(*rawConn) {
	return func(c *rawConn) {
		c.settle(extendedConnect)
		if c.opened() != nil {
			c.openUni(parts...)
		}
	}
}

// answering sends something on the stream of a request.
func answering(end bool, parts ...[]byte) func(*rawConn) {
	return func(c *rawConn) {
		c.settle(extendedConnect)
		s := c.request()
		if s == nil {
			return
		}
		s.Write(bytes.Join(parts, nil))
		if end {
			s.Close()
		}
	}
}

func reset(s *quic.Stream, code http3.ErrCode) {
	if s != nil {
		s.CancelRead(quic.StreamErrorCode(code))
		s.CancelWrite(quic.StreamErrorCode(code))
	}
}

// TestFaults compares what happens to a client with docs/http3-faults.md.
func TestFaults(t *testing.T) {
	var page strings.Builder
	page.WriteString(introduction)
	for _, f := range faults {
		t.Run(f.what, func(t *testing.T) {
			var err error
			waitUntil(t, "the body has come", func() bool {
				err = f.try(t)
				var failed *websock.HandshakeError
				return !errors.As(err, &failed) || len(failed.Body) >= f.body
			})
			fmt.Fprintf(&page, "| %s | %s |\n", f.what, describe(err))
		})
	}
	if *update {
		if err := os.WriteFile(document, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	known, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if string(known) != page.String() {
		t.Errorf("%s is not up to date; -update writes it:\n%s", document, page.String())
	}
}

const introduction = `# Faults of servers over HTTP/3

How a client reacts to a server that misbehaves. The client opens a WebSocket over HTTP/3, the only one of
its QUIC connection, and receives until there is an error. A ` + "`SessionError`" + ` ends all WebSockets of the
connection, a ` + "`StreamError`" + ` only one. ` + "`go test -run TestFaults -update`" + ` in
` + "`transport/h3`" + ` writes this page. [faults.md](faults.md) has those over HTTP/1.1 and HTTP/2.

Further tests of the package: packets that are lost; a client whose address changes; a server that restarts
(stateless reset); a network on which nothing arrives any more; each error code of a stream; version
negotiation and garbage; several addresses of one name.

| The server | Error |
|---|---|
`

// try runs a client against a fault.
func (f fault) try(t *testing.T) error {
	before := runtime.NumGoroutine()
	s := newRawServer(t, &quic.Config{}, f.serve)
	s.mux.HTTP3.(*h3.Dialer).Timeout = cmp.Or(f.timeout, patience)
	conn, err := s.dial(t, websock.Config{})
	if err == nil {
		conn.SendText([]byte("hello"))
		conn.SetRecvDeadline(time.Now().Add(patience))
		for err == nil {
			_, _, err = conn.RecvMessage(nil)
		}
		conn.Close()
	}
	s.stop()
	waitUntil(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
	return err
}

// describe names an error and its causes.
func describe(err error) string {
	var failed *websock.HandshakeError
	var closed *websock.CloseError
	var limit *websock.LimitError
	var stream *h3.StreamError
	var session *h3.SessionError
	var parts []string
	switch {
	case errors.As(err, &failed):
		parts = append(parts, "`HandshakeError`")
		if failed.Status != 0 {
			parts = append(parts, fmt.Sprintf("status %d", failed.Status))
		}
		if len(failed.Body) > 0 {
			parts = append(parts, fmt.Sprintf("%d bytes of the body", len(failed.Body)))
		}
	case errors.As(err, &closed):
		parts = append(parts, fmt.Sprintf("`CloseError` %d", closed.Code))
	}
	if errors.As(err, &stream) {
		parts = append(parts, fmt.Sprintf("`StreamError` %v%s", stream.Code, by(stream.Remote)))
	}
	if errors.As(err, &session) {
		text := "`SessionError`"
		if session.Code != 0 {
			text += " " + session.Code.String()
		}
		parts = append(parts, text+by(session.Remote))
	}
	if errors.As(err, &limit) {
		parts = append(parts, "`LimitError` "+limit.Limit)
	}
	for _, cause := range []struct {
		err  error
		name string
	}{
		{h2.ErrRefused, "`h2.ErrRefused`"},
		{h3.ErrNoExtendedConnect, "`ErrNoExtendedConnect`"},
		{io.ErrUnexpectedEOF, "`io.ErrUnexpectedEOF`"},
		{context.DeadlineExceeded, "`context.DeadlineExceeded`"},
		{websock.ErrTimeout, "`ErrTimeout`"},
	} {
		if errors.Is(err, cause.err) {
			parts = append(parts, cause.name)
		}
	}
	return strings.Join(parts, ", ")
}

func by(remote bool) string {
	if remote {
		return " of the server"
	}
	return ""
}

func TestStreamIsResetWithEachErrorCode(t *testing.T) {
	codes := []http3.ErrCode{http3.ErrCodeDatagramError, http3.ErrCodeQPACKDecompressionFailed, 0x201, 0x202, 0x33ff, 0, 1<<62 - 1}
	for code := http3.ErrCodeNoError; code <= http3.ErrCodeVersionFallback; code++ {
		codes = append(codes, code)
	}
	s := newRawServer(t, &quic.Config{}, func(c *rawConn) {
		c.settle(extendedConnect)
		for _, code := range codes {
			if s := c.accept(); s != nil {
				s.Write(hello)
				s.Read(make([]byte, 1)) // the client has hello
				reset(s, code)
			}
		}
	})
	for _, code := range codes {
		conn := s.mustDial(t, websock.Config{})
		if _, msg, err := conn.RecvMessage(nil); string(msg) != "hello" || err != nil {
			t.Fatalf("received %q, %v", msg, err)
		}
		conn.SendText([]byte("hello"))
		_, _, err := conn.RecvMessage(nil)
		var closed *websock.CloseError
		var stream *h3.StreamError
		if !errors.As(err, &closed) || closed.Code != websock.CloseAbnormal || closed.Local || !errors.As(err, &stream) || stream.Code != code || !stream.Remote {
			t.Errorf("%v: %v", code, err)
		}
		if err := conn.SendText([]byte("hello")); !errors.As(err, &stream) || stream.Code != code {
			t.Errorf("%v: a send returns %v", code, err)
		}
		conn.Close()
	}
}

// A server that reads no more, and says so, is still heard.
func TestServerStopsReading(t *testing.T) {
	s := newRawServer(t, &quic.Config{}, func(c *rawConn) {
		c.settle(extendedConnect)
		if s := c.accept(); s != nil {
			s.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
			s.Write(slices.Concat(hello, hello, normalClose))
			s.Close()
		}
	})
	conn := s.mustDial(t, websock.Config{})
	for conn.SendText([]byte("hello")) == nil {
		time.Sleep(time.Millisecond)
	}
	for range 2 {
		if _, msg, err := conn.RecvMessage(nil); string(msg) != "hello" || err != nil {
			t.Errorf("received %q, %v", msg, err)
		}
	}
	var closed *websock.CloseError
	if _, _, err := conn.RecvMessage(nil); !errors.As(err, &closed) || closed.Code != websock.CloseNormal {
		t.Error(err)
	}
	conn.Close()
}

// GOAWAY leaves the WebSockets that are open. What it says was not processed is asked for again, on another
// connection.
func TestGoAway(t *testing.T) {
	s := newRawServer(t, &quic.Config{}, func(c *rawConn) {
		c.settle(extendedConnect)
		if c.number > 0 {
			for s := c.accept(); s != nil; s = c.accept() {
				s.Write(hello)
			}
			return
		}
		first := c.accept()
		second := c.request()
		c.control.Write(frame(0x7, varints(uint64(second.StreamID()))))
		reset(second, http3.ErrCodeRequestRejected)
		first.Read(make([]byte, 1))
		first.Write(hello)
		first.Write(normalClose)
		first.Close()
	})
	first := s.mustDial(t, websock.Config{})
	second := s.mustDial(t, websock.Config{})
	if _, msg, err := second.RecvMessage(nil); string(msg) != "hello" || err != nil {
		t.Errorf("received %q, %v", msg, err)
	}
	if err := first.SendText([]byte("still there?")); err != nil {
		t.Error(err)
	}
	if _, msg, err := first.RecvMessage(nil); string(msg) != "hello" || err != nil {
		t.Errorf("received %q, %v", msg, err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	third := s.mustDial(t, websock.Config{})
	if _, msg, err := third.RecvMessage(nil); string(msg) != "hello" || err != nil {
		t.Errorf("received %q, %v", msg, err)
	}
}

// A server may leave it at GOAWAY, and not reset what it doesn't process.
func TestGoAwayIsEnough(t *testing.T) {
	s := newRawServer(t, &quic.Config{}, func(c *rawConn) {
		c.settle(extendedConnect)
		if c.number > 0 {
			if s := c.accept(); s != nil {
				s.Write(hello)
			}
			return
		}
		if s := c.request(); s != nil {
			c.control.Write(frame(0x7, varints(uint64(s.StreamID()))))
		}
	})
	c := s.mustDial(t, websock.Config{})
	if _, msg, err := c.RecvMessage(nil); string(msg) != "hello" || err != nil {
		t.Errorf("received %q, %v", msg, err)
	}
	c.Abort(nil)
}

// A network on which nothing arrives any more ends everything that waits.
func TestASilentNetworkReleasesAllCalls(t *testing.T) {
	t.Parallel()
	s := newRawServer(t, &quic.Config{}, func(c *rawConn) {
		c.settle(extendedConnect)
		c.accept()
		c.accept()
		c.request()
	})
	p := newProxy(t, s.addr)
	s.addr = p.addr()
	s.mux.HTTP3.(*h3.Dialer).QUIC = endingIdle
	receiver, sender := s.mustDial(t, websock.Config{}), s.mustDial(t, websock.Config{})
	results := make(chan error, 3)
	go func() {
		_, _, err := receiver.RecvMessage(nil)
		results <- err
	}()
	go func() {
		_, err := s.dial(t, websock.Config{Timeout: 3 * patience})
		results <- err
	}()
	waitUntil(t, "the third request has come", func() bool { return s.requests.Load() == 3 })
	p.mu.Lock()
	p.loses = func() bool { return true }
	p.mu.Unlock()
	go func() { results <- sender.SendBinary(make([]byte, 8<<20)) }() // more than the server's windows
	for range cap(results) {
		select {
		case err := <-results:
			var session *h3.SessionError
			var idle *quic.IdleTimeoutError
			if !errors.As(err, &session) || !errors.As(err, &idle) {
				t.Error(err)
			}
		case <-time.After(2 * patience):
			t.Fatal("a call was not released")
		}
	}
	receiver.Close()
	sender.Close()
}

func TestAServerForgetsAClientThatHasGone(t *testing.T) {
	t.Parallel()
	opened, ended := make(chan struct{}), make(chan error, 1)
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		close(opened)
		_, _, err = conn.RecvMessage(nil)
		ended <- err
	}, func(s *http3.Server) { s.QUICConfig = endingIdle })
	p := newProxy(t, s.addr)
	s.addr = p.addr()
	s.mustDial(t, websock.Config{})
	<-opened
	p.mu.Lock()
	p.loses = func() bool { return true }
	p.mu.Unlock()
	select {
	case err := <-ended:
		var closed *websock.CloseError
		var idle *quic.IdleTimeoutError
		if !errors.As(err, &closed) || closed.Code != websock.CloseAbnormal || !errors.As(err, &idle) {
			t.Error(err)
		}
	case <-time.After(2 * patience):
		t.Fatal("the server still waits")
	}
}

func TestServerSpeaksAnotherVersion(t *testing.T) {
	s := answerPackets(t, patience, func(p []byte) []byte {
		// A Version Negotiation packet (RFC 9000 section 17.2.1) with the connection IDs exchanged.
		dst := p[6 : 6+p[5]]
		rest := p[6+len(dst):]
		src := rest[1 : 1+rest[0]]
		b := []byte{0x80, 0, 0, 0, 0, byte(len(src))}
		b = append(append(append(b, src...), byte(len(dst))), dst...)
		return append(b, 0x1a, 0x2a, 0x3a, 0x4a)
	})
	_, err := s.dial(t, websock.Config{})
	var failed *websock.HandshakeError
	var version *quic.VersionNegotiationError
	if !errors.As(err, &failed) || !errors.As(err, &version) {
		t.Error(err)
	}
}

func TestServerAnswersWithGarbage(t *testing.T) {
	for name, answer := range map[string]func(p []byte) []byte{
		"zeros":               func(p []byte) []byte { return make([]byte, 1200) },
		"its packet":          func(p []byte) []byte { return p },
		"one byte":            func(p []byte) []byte { return []byte{0xc0} },
		"versions of nothing": func(p []byte) []byte { return []byte{0x80, 0, 0, 0, 0, 0, 0, 1} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := answerPackets(t, 200*time.Millisecond, answer).dial(t, websock.Config{})
			var failed *websock.HandshakeError
			if !errors.As(err, &failed) || !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	}
}

// A client that has a session to resume doesn't use it to send data before the handshake is complete.
func TestClientSendsNo0RTT(t *testing.T) {
	states := make(chan quic.ConnectionState, 1)
	s := newRawServer(t, &quic.Config{Allow0RTT: true}, func(c *rawConn) {
		c.settle(extendedConnect)
		c.accept()
		states <- c.ConnectionState()
	})
	cache := newTicketCache()
	s.config.ClientSessionCache = cache
	for _, resumes := range []bool{false, true} {
		mux := newMux()
		conn := s.mustDial(t, websock.Config{Mux: mux})
		if state := <-states; state.Used0RTT || state.TLS.DidResume != resumes {
			t.Errorf("0-RTT: %v, resumed: %v", state.Used0RTT, state.TLS.DidResume)
		}
		cache.await(t)
		mux.Close()
		conn.Close()
	}
}
