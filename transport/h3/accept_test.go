package h3_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/h3"
)

// A middleware wraps an http.ResponseWriter, and says so.
type middleware struct{ http.ResponseWriter }

func (m middleware) Unwrap() http.ResponseWriter { return m.ResponseWriter }

func TestAcceptIsCalledWrongly(t *testing.T) {
	for _, test := range []struct {
		name  string
		serve func(w http.ResponseWriter, r *http.Request) error
		opens bool // and the WebSocket gets hello
		fails bool // the last call of Accept
	}{
		{"twice", func(w http.ResponseWriter, r *http.Request) error {
			first, err := websock.Accept(w, r, nil)
			if err != nil {
				return err
			}
			go first.SendText([]byte("hello"))
			_, err = websock.Accept(w, r, nil)
			return err
		}, true, true},
		{"twice, and the second time without agreement", func(w http.ResponseWriter, r *http.Request) error {
			first, err := websock.Accept(w, r, nil)
			if err != nil {
				return err
			}
			go first.SendText([]byte("hello"))
			_, err = websock.Accept(w, r, &websock.AcceptOptions{CheckRequest: func(*http.Request) error { return errors.New("not again") }})
			return err
		}, true, true},
		{"and a response is sent later", func(w http.ResponseWriter, r *http.Request) error {
			c, err := websock.Accept(w, r, nil)
			if err != nil {
				return err
			}
			go c.SendText([]byte("hello"))
			w.Header().Set("X-Late", "yes")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusOK)
			if _, err := w.Write([]byte("late")); !errors.Is(err, http.ErrHijacked) {
				t.Error(err)
			}
			return nil
		}, true, false},
		{"after a status", func(w http.ResponseWriter, r *http.Request) error {
			w.WriteHeader(http.StatusTeapot)
			_, err := websock.Accept(w, r, nil)
			return err
		}, false, true},
		{"after the header was sent", func(w http.ResponseWriter, r *http.Request) error {
			if err := http.NewResponseController(w).Flush(); err != nil {
				return nil
			}
			_, err := websock.Accept(w, r, nil)
			return err
		}, false, true},
		{"after a body", func(w http.ResponseWriter, r *http.Request) error {
			w.Write([]byte("hello"))
			_, err := websock.Accept(w, r, nil)
			return err
		}, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			returned := make(chan error, 1)
			s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				err := errors.New("a panic")
				defer func() { returned <- err }()
				err = test.serve(middleware{w}, r)
			})
			c, err := s.dial(t, websock.Config{})
			if err == nil {
				defer c.Abort(nil)
			}
			if test.opens {
				if err != nil {
					t.Fatal(err)
				}
				c.SetRecvDeadline(time.Now().Add(patience))
				if _, msg, err := c.RecvMessage(nil); string(msg) != "hello" || err != nil {
					t.Errorf("received %q, %v", msg, err)
				}
			}
			var failed *websock.HandshakeError
			var session *h3.SessionError
			err = <-returned
			if errors.As(err, &failed) != test.fails || err != nil && !test.fails || errors.As(err, &session) {
				t.Errorf("Accept returns %v", err)
			}
		})
	}
}

// Each WebSocket of a server whose application allows more streams has its place in the connection's window.
func TestManyPausedWebSocketsStopNoOther(t *testing.T) {
	handler, accepted := accepts(t)
	const window = 4 << 10
	s := newServer(t, handler, func(s *http3.Server) {
		s.QUICConfig = &quic.Config{
			MaxIncomingStreams: 300, InitialStreamReceiveWindow: window, MaxStreamReceiveWindow: window,
			HandshakeIdleTimeout: time.Hour,
		}
	})
	mux := &websock.Mux{StreamsPerConn: 300, HTTP3: newDialer()}
	defer mux.Close()
	for range 150 {
		c := s.mustDial(t, websock.Config{Mux: mux})
		<-accepted
		go c.SendBinary(make([]byte, 2*window))
	}
	c := s.mustDial(t, websock.Config{Mux: mux})
	far := <-accepted
	go c.SendBinary(make([]byte, 10*window))
	far.SetRecvDeadline(time.Now().Add(patience))
	if _, msg, err := far.RecvMessage(nil); len(msg) != 10*window || err != nil {
		t.Errorf("%d bytes, %v", len(msg), err)
	}
}
