package h3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/h3"
)

// A serverConn is a WebSocket of a server, with its stream.
type serverConn struct {
	*websock.Conn
	stream transport.Conn
}

// A streamRecorder remembers the stream that Accept takes.
type streamRecorder struct {
	handshake.StreamTaker[transport.Conn]
	taken transport.Conn
}

func (r *streamRecorder) TakeStream(status int, header http.Header) (c transport.Conn, err error) {
	r.taken, err = r.StreamTaker.TakeStream(status, header)
	return r.taken, err
}

// accepts returns a handler that hands over its WebSockets.
func accepts(t testing.TB) (http.HandlerFunc, chan serverConn) {
	accepted := make(chan serverConn, 100)
	return func(w http.ResponseWriter, r *http.Request) {
		taker, _ := handshake.StreamTakerOf[transport.Conn](w)
		recorder := &streamRecorder{StreamTaker: taker}
		c, err := websock.Accept(recorder, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		accepted <- serverConn{c, recorder.taken}
	}, accepted
}

func TestEnds(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(s *server, near *websock.Conn, far serverConn)
		want func(err error) bool
	}{
		{"Close", func(_ *server, _ *websock.Conn, far serverConn) { go far.Close() }, func(err error) bool {
			var closed *websock.CloseError
			return errors.As(err, &closed) && closed.Code == websock.CloseNormal && !closed.Local
		}},
		{"Abort", func(_ *server, _ *websock.Conn, far serverConn) { far.Abort(nil) }, func(err error) bool {
			var closed *websock.CloseError
			return errors.As(err, &closed) && closed.Code == websock.CloseAbnormal && errors.Is(err, io.ErrUnexpectedEOF)
		}},
		{"our Abort", func(_ *server, near *websock.Conn, _ serverConn) { near.Abort(nil) }, func(err error) bool {
			return errors.Is(err, websock.ErrClosed)
		}},
		{"a reset", func(_ *server, _ *websock.Conn, far serverConn) {
			h3.Reset(h3.StreamOf(far.stream), 0x102)
		}, func(err error) bool {
			var own *h3.StreamError
			var shared *websock.StreamError
			return errors.As(err, &own) && own.Remote && own.Code == http3.ErrCodeInternalError &&
				errors.As(err, &shared) && shared.Remote && shared.Code == http2.ErrCodeInternal
		}},
		{"the end of the server", func(s *server, _ *websock.Conn, _ serverConn) { s.http3.Close() }, func(err error) bool {
			var own *h3.SessionError
			var shared *websock.SessionError
			return errors.As(err, &own) && own.Remote && own.Code == http3.ErrCodeNoError &&
				errors.As(err, &shared) && shared.Remote && shared.Code == http2.ErrCodeNo
		}},
		{"the end of the Mux", func(s *server, _ *websock.Conn, _ serverConn) { s.mux.Close() }, func(err error) bool {
			var own *h3.SessionError
			return errors.As(err, &own) && !own.Remote && errors.Is(err, websock.ErrClosed)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			handler, accepted := accepts(t)
			s := newServer(t, handler)
			near := s.mustDial(t, websock.Config{})
			test.end(s, near, <-accepted)
			near.SetRecvDeadline(time.Now().Add(patience))
			if _, _, err := near.RecvMessage(nil); !test.want(err) {
				t.Error(err)
			}
			near.Close()
			waitUntil(t, "the Mux has no stream", func() bool { return s.mux.Stats().Streams == 0 })
		})
	}
}

func TestCloseIsAnsweredBothWays(t *testing.T) {
	for name, handler := range map[string]websock.Handler{
		"pulled": nil,
		"pushed": websock.Messages(func(*websock.Conn, websock.Opcode, []byte) {}, nil),
	} {
		for _, closer := range []string{"the server", "the client"} {
			served := make(chan *websock.Conn, 1)
			s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				c, err := websock.Accept(w, r, &websock.AcceptOptions{Handler: handler, Limits: websock.Limits{CloseTimeout: patience}})
				if err != nil {
					t.Error(err)
				}
				served <- c
			})
			near := s.mustDial(t, websock.Config{Handler: handler})
			far := <-served
			if closer == "the server" {
				near, far = far, near
			}
			if handler == nil {
				go func() {
					far.RecvMessage(nil)
					far.Close()
				}()
			}
			if err := near.CloseWith(websock.CloseGoingAway, "bye"); err != nil {
				t.Errorf("%s, %s closes: %v", name, closer, err)
			}
			waitUntil(t, "the Mux has no stream", func() bool { return s.mux.Stats().Streams == 0 })
		}
	}
}

// A client may leave the end of its stream to the server. Nothing more is waited for when its answer was read,
// whoever has read it.
func TestTheAnswerIsSeenWhoeverReadsIt(t *testing.T) {
	taken := make(chan transport.Conn, 1)
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		taker, _ := handshake.StreamTakerOf[transport.Conn](w)
		c, err := taker.TakeStream(http.StatusOK, http.Header{})
		if err != nil {
			t.Error(err)
		}
		taken <- c
	})
	isAnswer := func(p []byte) bool { return bytes.HasSuffix(p, maskedClose[2:]) } // without the header of DATA
	for _, test := range []struct {
		name   string
		before func(c transport.Conn, answer func())
	}{
		{"before", func(c transport.Conn, answer func()) {
			answer()
			c.View()
		}},
		{"meanwhile", func(c transport.Conn, answer func()) {
			go c.Read(make([]byte, 100))
			time.Sleep(time.Millisecond) // until it waits; if it comes too late, Linger reads
			time.AfterFunc(time.Millisecond, answer)
		}},
		{"Linger", func(_ transport.Conn, answer func()) { time.AfterFunc(time.Millisecond, answer) }},
	} {
		client := newRawClient(t, s)
		st := client.stream(proper)
		c := <-taken
		if c == nil {
			return
		}
		test.before(c, func() { st.Write(maskedClose) })
		lingered := make(chan error, 1)
		go func() { lingered <- c.(transport.AnswerAwaiter).LingerForAnswer(time.Hour, isAnswer) }()
		select {
		case err := <-lingered:
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
		case <-time.After(patience):
			t.Errorf("%s: the answer was not seen", test.name)
			c.Close()
		}
		if _, err := io.Copy(io.Discard, st); err != nil {
			t.Errorf("%s: the client reads %v", test.name, err)
		}
	}
}

// The stream of a peer that does not answer must not stay.
func TestCloseIsBounded(t *testing.T) {
	handler, accepted := accepts(t)
	s := newServer(t, handler)
	near := s.mustDial(t, websock.Config{Limits: websock.Limits{CloseTimeout: 50 * time.Millisecond}})
	far := <-accepted
	blocked := make(chan error, 1)
	go func() { blocked <- near.SendBinary(make([]byte, 62<<20)) }()
	waitUntil(t, "the send has begun", func() bool { return near.Stats().Writes > 0 })
	if err := near.Close(); err == nil {
		t.Error("Close reports success")
	}
	if err := <-blocked; err == nil {
		t.Error("the send reports success")
	}
	far.Abort(nil)
	waitUntil(t, "the Mux has no stream", func() bool { return s.mux.Stats().Streams == 0 })
}

func TestAPausedWebSocketDoesNotStopOthers(t *testing.T) {
	handler, accepted := accepts(t)
	s := newServer(t, handler)
	const window = 64 << 10
	mux := &websock.Mux{Window: window, HTTP3: newDialer()}
	defer mux.Close()
	var stuck []*websock.Conn
	for range 30 { // together more than the window of a connection with which quic-go begins
		s.mustDial(t, websock.Config{Mux: mux})
		c := <-accepted
		go c.SendBinary(make([]byte, 2*window)) // and nobody reads
		stuck = append(stuck, c.Conn)
	}
	near := s.mustDial(t, websock.Config{Mux: mux})
	far := <-accepted
	go far.SendBinary(make([]byte, 8*window))
	near.SetRecvDeadline(time.Now().Add(patience))
	if _, msg, err := near.RecvMessage(nil); len(msg) != 8*window || err != nil {
		t.Errorf("%d bytes, %v", len(msg), err)
	}
	for _, c := range append(stuck, near, far.Conn) {
		c.Abort(nil)
	}
}

func TestConnectionsAreShared(t *testing.T) {
	for _, test := range []struct {
		name           string
		perConn        int   // StreamsPerConn
		server         int64 // MaxIncomingStreams
		streams, conns int
	}{
		{"all on one", 0, 0, 20, 1},
		{"as many as the Mux says", 5, 0, 20, 4},
		{"as many as the server says", 0, 5, 20, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t, echo, func(s *http3.Server) {
				h3.ConfigureServer(s)
				s.QUICConfig.MaxIncomingStreams = test.server
			})
			mux := &websock.Mux{StreamsPerConn: test.perConn, HTTP3: newDialer()}
			defer mux.Close()
			var conns []*websock.Conn
			for range test.streams {
				c := s.mustDial(t, websock.Config{Mux: mux})
				wantEcho(t, c, "hello")
				conns = append(conns, c)
			}
			if stats := mux.Stats(); stats.Streams != test.streams || stats.Conns != test.conns {
				t.Errorf("%+v", stats)
			}
			for _, c := range conns {
				c.Close()
			}
		})
	}
}

func TestADialWaitsForAStream(t *testing.T) {
	s := newServer(t, echo, func(s *http3.Server) {
		h3.ConfigureServer(s)
		s.QUICConfig.MaxIncomingStreams = 1
	})
	mux := &websock.Mux{MaxConns: 1, HTTP3: newDialer()}
	defer mux.Close()
	for range 5 {
		first := s.mustDial(t, websock.Config{Mux: mux})
		_, err := s.dial(t, websock.Config{Mux: mux, Timeout: 50 * time.Millisecond})
		if !errors.Is(err, websock.ErrNoStream) {
			t.Error(err)
		}
		opened := make(chan *websock.Conn, 1)
		go func() {
			c, err := s.dial(t, websock.Config{Mux: mux})
			if err != nil {
				t.Error(err)
			}
			opened <- c
		}()
		waitUntil(t, "the Dial waits", func() bool { return mux.Stats().Waiting == 1 })
		first.Close()
		if second := <-opened; second != nil {
			wantEcho(t, second, "hello")
			second.Close()
		}
	}
}

func TestShutdownLetsWebSocketsEnd(t *testing.T) {
	for _, side := range []string{"the server's", "the client's"} {
		t.Run(side, func(t *testing.T) {
			s := newServer(t, echo)
			c := s.mustDial(t, websock.Config{})
			down := make(chan error, 1)
			if side == "the server's" {
				go func() { down <- s.http3.Shutdown(t.Context()) }()
			} else {
				go func() { down <- s.mux.Shutdown(t.Context()) }()
			}
			waitUntil(t, "no more is opened", func() bool {
				other, err := s.dial(t, websock.Config{Timeout: 200 * time.Millisecond})
				if err == nil {
					other.Close()
				}
				return err != nil
			})
			wantEcho(t, c, "still here")
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			select {
			case err := <-down:
				if err != nil && !errors.Is(err, http.ErrServerClosed) {
					t.Error(err)
				}
			case <-time.After(patience):
				t.Error("Shutdown still waits")
			}
		})
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	s := newServer(t, echo)
	mux := &websock.Mux{IdleTimeout: 20 * time.Millisecond, HTTP3: newDialer()}
	defer mux.Close()
	c := s.mustDial(t, websock.Config{Mux: mux})
	time.Sleep(100 * time.Millisecond)
	wantEcho(t, c, "not idle")
	c.Close()
	waitUntil(t, "the connection is closed", func() bool { return mux.Stats().Conns == 0 })
}

func TestNothingIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("many WebSockets", func(t *testing.T) {
		s := newServer(t, echo)
		for i := range 150 {
			c := s.mustDial(t, websock.Config{})
			switch i % 3 {
			case 0:
				c.Close()
			case 1:
				c.Abort(nil)
			}
		}
	})
	waitUntil(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
}

// A Handler's answers leave without a goroutine or a wait, as long as the peer reads.
func TestSendsThatDoNotWait(t *testing.T) {
	handler, accepted := accepts(t)
	s := newServer(t, handler)
	near := s.mustDial(t, websock.Config{Limits: websock.Limits{SendQueue: 1 << 20}})
	far := <-accepted
	sent := 0
	for ; sent < 1000; sent++ {
		if err := near.TrySend(websock.OpBinary, make([]byte, 16<<10)); err != nil {
			if !errors.Is(err, websock.ErrSendQueueFull) {
				t.Fatal(err)
			}
			break
		}
	}
	if sent == 1000 {
		t.Error("16 MB were accepted, of which the peer reads nothing")
	}
	for ; sent < 1000; sent++ { // until what the peer's system takes is full, too
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err := near.SendContext(ctx, websock.OpBinary, make([]byte, 16<<10))
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for range sent {
		far.SetRecvDeadline(time.Now().Add(patience))
		if _, msg, err := far.RecvMessage(nil); len(msg) != 16<<10 || err != nil {
			t.Fatalf("%d bytes, %v", len(msg), err)
		}
	}
	near.Abort(nil)
	far.Abort(nil)
}
