package websock

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/frametest"
)

// A recorder is a Handler that records its calls.
type recorder struct {
	events  []string
	payload []byte
	closed  []error
	onData  func(c *Conn, h Header, payload []byte)
}

func (r *recorder) OnData(c *Conn, h Header, payload []byte) {
	if r.onData != nil {
		r.onData(c, h, payload)
	}
	r.payload = append(r.payload, payload...)
	if h.Remaining > 0 {
		return
	}
	more := ""
	if !h.Fin {
		more = "+"
	}
	r.events = append(r.events, fmt.Sprintf("%v%s %s", h.Opcode, more, r.payload))
	r.payload = r.payload[:0]
}

func (r *recorder) OnClose(c *Conn, err error) { r.closed = append(r.closed, err) }

func TestHandlerGetsTheSameFramesHoweverTheStreamIsSplit(t *testing.T) {
	for _, role := range []Role{Client, Server} {
		for _, test := range frametest.Streams {
			t.Run(role.String()+"/"+test.Name, func(t *testing.T) {
				stream := frames(role, test.Frames)
				for _, chunks := range [][][]byte{{clone(stream)}, everyByte(clone(stream))} {
					c, s := newScripted(role, Limits{}, chunks...)
					s.err = io.EOF
					r := &recorder{}
					if err := c.SetHandler(r); err != nil {
						t.Fatal(err)
					}
					err := s.play()
					if got := strings.Join(r.events, "; "); got != withoutControl(test.Want) {
						t.Errorf("%.200q; want %.200q", got, test.Want)
					}
					if len(r.closed) != 1 || r.closed[0] != err || err == nil {
						t.Errorf("OnClose got %v, Receive returned %v", r.closed, err)
					}
					if test.Rule != "" && !frametest.Broke(err, test.Rule) {
						t.Errorf("%v; want %v", err, test.Rule)
					}
					if !s.closed && !s.lingered {
						t.Error("the transport wasn't closed")
					}
				}
			})
		}
	}
}

func TestHandlerGetsViews(t *testing.T) {
	chunk := frames(Client, "bin Hello")
	c, s := newScripted(Client, Limits{}, chunk)
	c.SetHandler(&recorder{onData: func(_ *Conn, _ Header, payload []byte) {
		if &payload[0] != &chunk[2] {
			t.Error("payload was copied")
		}
	}})
	s.play()
}

func TestFramesSentByAHandlerAreWrittenTogether(t *testing.T) {
	c, s := newScripted(Client, Limits{}, frames(Client, "text a; ping p; text b; text c"), frames(Client, "text d"))
	c.SetHandler(&recorder{onData: func(c *Conn, _ Header, payload []byte) {
		if err := c.SendText(payload); err != nil {
			t.Error(err)
		}
	}})
	s.play()
	if got := unframe(Client, s.out); got != "text a; pong p; text b; text c; text d" {
		t.Errorf("sent %q", got)
	}
	if s.writes != 2 {
		t.Errorf("%d writes for 2 chunks, want 2", s.writes)
	}
}

func TestAnswersToTheLastBytesOfAStreamAreWritten(t *testing.T) {
	s := &scriptTransport{chunks: [][]byte{frames(Client, "text a; ping p")}}
	c := NewConn(eagerTransport{s}, Client, Options{})
	r := &recorder{onData: func(c *Conn, _ Header, payload []byte) { c.SendText(payload) }}
	c.SetHandler(r)
	s.receiver.Readable()
	if got := unframe(Client, s.out); got != "text a; pong p" {
		t.Errorf("sent %q", got)
	}
	if len(r.closed) != 1 || !errors.Is(r.closed[0], io.ErrUnexpectedEOF) {
		t.Errorf("OnClose got %v", r.closed)
	}
}

// The sends of a Handler are batched and return nil before they are written.
func TestOnCloseReportsThatSentFramesWereNotWritten(t *testing.T) {
	broken := errors.New("broken")
	s := &scriptTransport{chunks: [][]byte{frames(Client, "text a")}, writeErr: broken}
	c := NewConn(s, Client, Options{Limits: Limits{CloseTimeout: time.Minute}})
	r := &recorder{onData: func(c *Conn, _ Header, payload []byte) {
		if err := c.SendText(payload); err != nil {
			t.Error(err)
		}
	}}
	c.SetHandler(r)
	if err := s.play(); err != nil || len(r.closed) != 0 {
		t.Errorf("Receive returned %v, OnClose got %v, though there may be more to receive", err, r.closed)
	}
	if left := time.Until(s.readDeadline); left <= 0 || left > time.Minute {
		t.Errorf("the peer has %v left", left)
	}
	s.receiver.End(os.ErrDeadlineExceeded)
	s.receiver.Finish()
	if len(r.closed) != 1 || r.closed[0] != c.Err() || !errors.Is(c.Err(), broken) {
		t.Errorf("OnClose got %v, Err returns %v", r.closed, c.Err())
	}
	if !s.closed {
		t.Error("the transport wasn't closed")
	}
}

// After a failed send the Handler still gets what the peer has sent.
func TestHandlerGetsDataAfterAFailedSend(t *testing.T) {
	s := &scriptTransport{chunks: [][]byte{frames(Client, "text a"), frames(Client, "text b; close "+closePayload(4000, ""))}, writeErr: errors.New("broken")}
	c := NewConn(s, Client, Options{})
	r := &recorder{}
	c.SetHandler(r)
	if err := c.SendText(nil); err == nil {
		t.Fatal("the send did not fail")
	}
	s.play()
	var closed *CloseError
	if len(r.events) != 2 || len(r.closed) != 1 || !errors.As(r.closed[0], &closed) || closed.Code != 4000 {
		t.Errorf("%q, OnClose got %v", r.events, r.closed)
	}
}

func TestABlockedWriteDoesNotBlockTheHandler(t *testing.T) {
	s := &gatedTransport{begun: make(chan struct{}, 10), free: make(chan struct{}, 10)}
	s.chunks = [][]byte{frames(Client, "text a; ping p"), frames(Client, "text b; close ")}
	c := NewConn(s, Client, Options{})
	c.SetHandler(&recorder{onData: func(c *Conn, _ Header, payload []byte) {
		if err := c.SendText(payload); err != nil {
			t.Error(err)
		}
	}})
	sent := make(chan error)
	go func() { sent <- c.SendBinary([]byte("big")) }()
	<-s.begun
	var err error
	for err == nil {
		s.readable = true
		err = s.receiver.Readable()
	}
	if !errors.As(err, new(*CloseError)) {
		t.Fatal(err)
	}
	close(s.free)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if got := unframe(Client, s.out); got != "bin big; text a; text b; close" {
		t.Errorf("sent %q", got)
	}
}

func TestASenderReturnsTheErrorOfAHandlersBatchThatItWrites(t *testing.T) {
	broken := errors.New("broken")
	for _, size := range []int{1, pieceSize + 1} {
		s := &gatedTransport{begun: make(chan struct{}, 10), free: make(chan struct{}, 10)}
		s.chunks = [][]byte{frames(Server, "text a")}
		c := NewConn(s, Server, Options{})
		c.SetHandler(&recorder{onData: func(c *Conn, _ Header, payload []byte) { c.SendText(payload) }})
		sent := make(chan error)
		go func() { sent <- c.SendBinary(make([]byte, size)) }()
		<-s.begun
		if err := s.play(); err != nil { // leaves what the Handler sent to that sender
			t.Fatal(err)
		}
		s.free <- struct{}{}
		<-s.begun
		s.mu.Lock()
		s.writeErr = broken
		s.mu.Unlock()
		s.free <- struct{}{}
		if err := <-sent; !errors.Is(err, broken) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestHandlerCanClose(t *testing.T) {
	c, s := newScripted(Client, Limits{}, frames(Client, "text a; text b"), frames(Client, "text c; close "+closePayload(4000, "")))
	r := &recorder{}
	r.onData = func(c *Conn, _ Header, _ []byte) {
		if err := c.CloseWith(4000, "enough"); err != nil {
			t.Error(err)
		}
	}
	c.SetHandler(r)
	err := s.play()
	if got := strings.Join(r.events, "; "); got != "text a; text b; text c" {
		t.Errorf("%q: what was on its way must still come", got)
	}
	var closed *CloseError
	if !errors.As(err, &closed) || !closed.Local || closed.Code != 4000 {
		t.Errorf("%v", err)
	}
	if got, want := unframe(Client, s.out), "close "+closePayload(4000, "enough"); got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	if s.readDeadline.IsZero() {
		t.Error("a peer that doesn't answer would keep the connection")
	}
	until := s.readDeadline
	if c.Close(); !s.readDeadline.Equal(until) {
		t.Error("another Close gives the peer more time")
	}
}

// What is written behind, and not taken by the system, would be lost.
func TestAHandlersLastAnswersReachAPeerThatHasClosed(t *testing.T) {
	b := &behindTransport{queueTransport: newQueueTransport()}
	b.chunks = [][]byte{frames(Server, "text a; close "+closePayload(4000, ""))}
	c := NewConn(b, Server, Options{})
	c.SetHandler(&recorder{onData: func(c *Conn, _ Header, p []byte) { c.SendText(p) }})
	b.play()
	if got, want := unframe(Server, b.out), "text a; close "+closePayload(4000, ""); got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
}

func TestRecvDeadlineEndsAConnectionWithAHandler(t *testing.T) {
	c, s := newScripted(Client, Limits{}, nil)
	r := &recorder{}
	c.SetHandler(r)
	if err := s.play(); !errors.Is(err, ErrTimeout) || len(r.closed) != 1 {
		t.Errorf("%v, OnClose got %v", err, r.closed)
	}
}

func TestOnCloseReportsWhetherThePeerAnsweredOurClose(t *testing.T) {
	for _, test := range []struct {
		name     string
		received string
		end      error // of the stream
		want     error // in the chain beside ErrClosed; nil: nothing
	}{
		{"an answer", "close " + closePayload(1000, ""), io.EOF, nil},
		{"the end of the stream", "text Hello", io.EOF, io.ErrUnexpectedEOF},
		{"a reset", "text Hello", syscall.ECONNRESET, syscall.ECONNRESET},
		{"no answer in time", "text Hello", os.ErrDeadlineExceeded, ErrTimeout},
		{"the transport closed", "text Hello", net.ErrClosed, net.ErrClosed},
	} {
		c, s := newScripted(Client, Limits{}, frames(Client, test.received))
		s.err = test.end
		var r recorder
		c.SetHandler(&r)
		c.Close()
		err := s.play()
		var closed *CloseError
		if !errors.As(err, &closed) || !closed.Local || closed.Code != CloseNormal || !errors.Is(closed, ErrClosed) {
			t.Errorf("%s: %v", test.name, err)
		} else if told := closed.Err != ErrClosed; told != (test.want != nil) || told && !errors.Is(closed, test.want) {
			t.Errorf("%s: the cause is %v", test.name, closed.Err)
		}
	}
}

func TestOnCloseReportsThatTheCloseFrameWasNotWritten(t *testing.T) {
	c, s := newScripted(Client, Limits{})
	s.err, s.writeErr = net.ErrClosed, syscall.EPIPE
	c.SetHandler(&recorder{})
	if err := c.Close(); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("Close: %v", err)
	}
	if err := s.play(); !errors.Is(err, ErrClosed) || !errors.Is(err, syscall.EPIPE) {
		t.Errorf("OnClose: %v", err)
	}
}

func TestOnCloseAfterCloseReportsThatSentFramesWereNotWritten(t *testing.T) {
	c, s := newScripted(Client, Limits{}, frames(Client, "text a"))
	s.writeErr = syscall.EPIPE
	c.SetHandler(&recorder{onData: func(c *Conn, _ Header, _ []byte) {
		closed := make(chan struct{})
		go func() {
			c.Close()
			close(closed)
		}()
		<-closed // the write has failed before the stream ends
	}})
	s.err = io.EOF
	err := s.play()
	if closed := new(CloseError); !errors.As(err, &closed) || !closed.Local || !errors.Is(closed, syscall.EPIPE) {
		t.Errorf("OnClose: %v", err)
	}
}

func TestHandlerExcludesReceiving(t *testing.T) {
	c, _ := newScripted(Client, Limits{}, frames(Client, "text a"))
	if err := c.SetHandler(nil); err != ErrHandler {
		t.Errorf("no handler: %v", err)
	}
	if err := c.SetHandler(&recorder{}); err != nil {
		t.Fatal(err)
	}
	if err := c.SetHandler(&recorder{}); err != ErrHandler {
		t.Errorf("second handler: %v", err)
	}
	if _, _, err := c.Recv(nil); err != ErrHandler {
		t.Errorf("Recv: %v", err)
	}
	if _, _, err := c.RecvTimeout(nil, 0); err != ErrHandler {
		t.Errorf("RecvTimeout: %v", err)
	}
	if _, _, err := c.RecvMessage(nil); err != ErrHandler {
		t.Errorf("RecvMessage: %v", err)
	}
	if _, _, err := c.NextReader(); err != ErrHandler {
		t.Errorf("NextReader: %v", err)
	}
}

func TestHandlerGetsDataThatHasAlreadyArrived(t *testing.T) {
	c, s := newScripted(Client, Limits{}, frames(Client, "text Hello; text rest"))
	buf := make([]byte, 2)
	if _, n, err := c.Recv(buf); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	r := &recorder{}
	c.SetHandler(r)
	s.play()
	if got := strings.Join(r.events, "; "); got != "text llo; text rest" {
		t.Errorf("%q", got)
	}
}

func TestSetHandlerFailsIfTheTransportCannotPush(t *testing.T) {
	c := NewConn(pullOnlyTransport{&scriptTransport{}}, Client, Options{})
	if err := c.SetHandler(&recorder{}); err != ErrNoPush {
		t.Errorf("%v", err)
	}
}

func TestTheTransportEndsAConnectionWithAHandler(t *testing.T) {
	tests := []struct {
		name  string
		err   error
		close bool
		want  []error
	}{
		{"the receive deadline", os.ErrDeadlineExceeded, false, []error{ErrTimeout, os.ErrDeadlineExceeded}},
		{"the closing handshake's deadline", os.ErrDeadlineExceeded, true, []error{ErrTimeout, ErrClosed}},
		{"our Close", net.ErrClosed, true, []error{ErrClosed}},
		{"the network", io.ErrClosedPipe, false, []error{io.ErrClosedPipe}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, s := newScripted(Client, Limits{})
			r := &recorder{}
			c.SetHandler(r)
			if test.close {
				c.CloseWith(4000, "")
			}
			s.receiver.End(test.err)
			s.receiver.Finish()
			var closed *CloseError
			if len(r.closed) != 1 || !errors.As(r.closed[0], &closed) || closed.Local != test.close {
				t.Fatalf("OnClose got %v", r.closed)
			}
			for _, want := range test.want {
				if !errors.Is(r.closed[0], want) {
					t.Errorf("%v is no %v", r.closed[0], want)
				}
			}
			if err := c.SendText(nil); err == nil || c.Err() == nil {
				t.Errorf("a send: %v; Err: %v", err, c.Err())
			}
			if !s.closed && !s.lingered {
				t.Error("the transport wasn't closed")
			}
		})
	}
}

func TestSetHandlerFailsAfterAProtocolError(t *testing.T) {
	c, _ := newScripted(Client, Limits{}, frames(Client, "cont x"))
	_, _, err := c.Recv(nil)
	if again := c.SetHandler(&recorder{}); again != err || err != errNothingToContinue {
		t.Errorf("%v, then %v", err, again)
	}
}

func TestATimeoutOfRecvTimeoutDoesNotApplyToTheHandler(t *testing.T) {
	c, s := newScripted(Client, Limits{}, nil)
	deadline := time.Now().Add(time.Hour)
	c.SetRecvDeadline(deadline)
	if _, _, err := c.RecvTimeout(nil, time.Minute); err != ErrTimeout || s.readDeadline.After(deadline.Add(-30*time.Minute)) {
		t.Fatalf("%v, deadline %v", err, s.readDeadline)
	}
	c.SetHandler(&recorder{})
	if !s.readDeadline.Equal(deadline) {
		t.Errorf("the deadline is %v, want %v", s.readDeadline, deadline)
	}
}

func TestAPanicOfAHandlerContinuesWithoutRecover(t *testing.T) {
	cause := errors.New("cause")
	for _, recovers := range []bool{false, true} {
		var told []any
		var o Options
		if recovers {
			o.Recover = func(_ *Conn, v any) { told = append(told, v) }
		}
		s := &scriptTransport{chunks: [][]byte{frames(Client, "bin Hello; bin World")}}
		c := NewConn(s, Client, o)
		r := &recorder{onData: func(*Conn, Header, []byte) { panic(cause) }}
		c.SetHandler(r)
		panicked := func() (v any) {
			defer func() { v = recover() }()
			s.play()
			return nil
		}()
		if recovers {
			if panicked != nil || len(told) != 1 || told[0] != cause || len(r.closed) != 1 || !errors.Is(r.closed[0], cause) {
				t.Errorf("with Recover: panicked with %v, told %v, closed %v", panicked, told, r.closed)
			}
		} else if panicked != cause || len(r.closed) != 0 {
			t.Errorf("without Recover: panicked with %v, closed %v", panicked, r.closed)
		}
	}
}

func TestOnCloseIsCalledAlthoughRecoverCallsGoexit(t *testing.T) {
	s := &scriptTransport{chunks: [][]byte{frames(Client, "text x")}}
	c := NewConn(s, Client, Options{Recover: func(*Conn, any) { runtime.Goexit() }})
	r := &recorder{onData: func(*Conn, Header, []byte) { panic("on purpose") }}
	if err := c.SetHandler(r); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.play()
	}()
	<-done
	var left *HandlerError
	if len(r.closed) != 1 || !errors.As(r.closed[0], &left) || left.Value != "on purpose" {
		t.Errorf("OnClose got %v", r.closed)
	}
}

// BenchmarkEcho measures receiving messages and sending them back, without a transport.
func BenchmarkEcho(b *testing.B) {
	for _, batch := range []int{1, 16} {
		b.Run(fmt.Sprintf("%d of 128 bytes", batch), func(b *testing.B) {
			t := &discardTransport{}
			for range batch {
				t.view = engine.AppendHeader(t.view, Header{Fin: true, Opcode: OpBinary, Length: 128})
				t.view = append(t.view, make([]byte, 128)...)
			}
			c := NewConn(t, Client, Options{})
			c.SetHandler(Messages(func(c *Conn, op Opcode, msg []byte) { c.SendFrame(op, true, msg) }, nil))
			r := (*receiver)(c)
			b.ReportAllocs()
			for b.Loop() {
				t.left = t.view
				r.Readable()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/message")
		})
	}
}

func TestSetHandlerIsRefusedOnceTheConnectionEnds(t *testing.T) {
	for name, end := range map[string]func(c *Conn){
		"Close": func(c *Conn) { c.Close() },
		"Abort": func(c *Conn) { c.Abort(nil) },
	} {
		c, s := newScripted(Client, Limits{}, frames(Client, "text a"))
		end(c)
		var closed *CloseError
		if err := c.SetHandler(&recorder{}); !errors.As(err, &closed) || !closed.Local || s.receiver != nil {
			t.Errorf("after %s: %v, pushed %v", name, err, s.receiver != nil)
		}
	}
}

func TestSetHandlerIsRefusedWhileCloseLingers(t *testing.T) {
	s := &blockedLingerTransport{lingers: make(chan struct{}), end: make(chan struct{})}
	c := NewConn(s, Client, Options{})
	ended := make(chan error)
	go func() { ended <- c.Close() }()
	<-s.lingers
	if err := c.SetHandler(&recorder{}); !errors.Is(err, ErrClosed) || s.receiver != nil {
		t.Errorf("%v, pushed %v", err, s.receiver != nil)
	}
	close(s.end)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

var errPushless = errors.New("no room for another descriptor")

func TestAfterAFailedPushCloseClosesTheTransport(t *testing.T) {
	s := &pushErrorTransport{scriptTransport{chunks: [][]byte{frames(Client, "text a")}}}
	c := NewConn(s, Client, Options{})
	if err := c.SetHandler(&recorder{}); err != errPushless {
		t.Fatal(err)
	}
	if _, m, err := c.RecvMessage(nil); string(m) != "a" || err != nil {
		t.Errorf("pulled %q, %v", m, err)
	}
	if err := c.Close(); err != nil || !s.lingered && !s.closed {
		t.Errorf("Close: %v; the transport lingered: %v, closed: %v", err, s.lingered, s.closed)
	}
}

func TestPauseLeavesTheRestOfTheViewToTheTransport(t *testing.T) {
	p := &pauseTransport{}
	c := NewConn(p, Client, Options{})
	r := &recorder{onData: func(c *Conn, _ Header, _ []byte) { c.Pause() }}
	if err := c.SetHandler(r); err != nil {
		t.Fatal(err)
	}
	p.view = frames(Client, "text a; ping x; text b; text+ c; cont d")
	size := uint64(len(p.view))
	for _, want := range []string{"text a", "text a; text b", "text a; text b; text+ c", "text a; text b; text+ c; continuation d"} {
		if err := p.receiver.Readable(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(r.events, "; "); got != want || !c.Paused() {
			t.Errorf("%q, paused %v; want %q", got, c.Paused(), want)
		}
		left := uint64(len(p.view))
		if st := c.Stats(); st.WireReceived != size-left {
			t.Errorf("%d bytes counted, %d taken", st.WireReceived, size-left)
		}
		c.Resume()
	}
	if got := p.heard(); got != strings.TrimSpace(strings.Repeat("pause resume ", 4)) {
		t.Errorf("the transport heard %q", got)
	}
}

func TestOneResumeEndsRepeatedPauses(t *testing.T) {
	p := &pauseTransport{}
	c := NewConn(p, Client, Options{})
	c.Pause() // there is no Handler
	c.Resume()
	if c.Paused() || p.heard() != "" {
		t.Errorf("without a Handler: paused %v, %q", c.Paused(), p.heard())
	}
	c.SetHandler(&recorder{})
	c.Resume() // of no pause
	c.Pause()
	c.Pause()
	if !c.Paused() {
		t.Error("not paused")
	}
	c.Resume()
	c.Resume()
	if got := p.heard(); c.Paused() || got != "pause pause resume" {
		t.Errorf("paused %v, %q", c.Paused(), got)
	}
	c.Pause()
	c.Close()
	if got := p.heard(); !c.Paused() || got != "pause pause resume pause" {
		t.Errorf("Close ends no pause: paused %v, %q", c.Paused(), got)
	}
}

func TestAResumeDuringAPauseIsNotLost(t *testing.T) {
	p := &pauseTransport{}
	c := NewConn(p, Client, Options{})
	c.SetHandler(&recorder{})
	resumed := make(chan struct{})
	p.onPause = func() {
		go func() {
			c.Resume()
			close(resumed)
		}()
		time.Sleep(20 * time.Millisecond) // it may come in between, but not get ahead
	}
	c.Pause()
	<-resumed
	if got := p.heard(); c.Paused() || got != "pause resume" {
		t.Errorf("paused %v, and the transport heard %q", c.Paused(), got)
	}
}

func TestPauseWithoutAHandlerDoesNothing(t *testing.T) {
	p := &pauseTransport{}
	c := NewConn(p, Client, Options{})
	c.Pause()
	if c.Paused() || p.heard() != "" {
		t.Errorf("paused %v, and the transport heard %q", c.Paused(), p.heard())
	}
	c.Resume()
}
