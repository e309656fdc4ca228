package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// A page and its WebSockets share one connection with HTTP/2 or HTTP/3, and whoever closes them, both sides find that
// clean.
func TestBrowsersShareConnections(t *testing.T) {
	for _, b := range []struct {
		name  string
		serve func(*testing.T, *certificate, http.Handler) string
		open  streamClient
	}{
		{"Chromium over HTTP/2", serveSecureHTTP2, chromiumPage},
		{"Firefox over HTTP/2", serveSecureHTTP2, firefoxPage},
		{"Chromium over HTTP/3", serveHTTP3, chromiumHTTP3},
	} {
		t.Run(b.name, func(t *testing.T) {
			c := signed(t, folder(t))
			s := &sharingServer{t: t, requests: map[string]int{}, ends: make(chan []pageEnd, 1)}
			origin := "https://" + b.serve(t, c, s.handler())
			b.open(t, c, origin+"/shared.html#", []string{"/server", "/client", "/handler"})
			select {
			case ends := <-s.ends:
				if len(ends) != 6 {
					t.Errorf("%d WebSockets were closed", len(ends))
				}
				for _, e := range ends {
					reason := "that is all"
					if e.Path == "/client" {
						reason = "" // we answer with the code only
					}
					if !e.WasClean || e.Code != 1000 || e.Reason != reason {
						t.Errorf("the page saw %+v", e)
					}
				}
			case <-time.After(patience):
				t.Error("the page did not see all WebSockets closed")
			}
			s.running.Wait()
			if len(s.requests) != 1 {
				t.Errorf("several connections, with so many requests: %v", s.requests)
			}
		})
	}
}

// A pageEnd is what a page knows of a closing.
type pageEnd struct {
	Path     string
	Code     int
	Reason   string
	WasClean bool
}

// A sharingServer serves a page, its WebSockets, and what it posts at the end.
type sharingServer struct {
	t       *testing.T
	ends    chan []pageEnd
	running sync.WaitGroup // conversations

	mu       sync.Mutex
	requests map[string]int // by protocol and client
}

func (s *sharingServer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir("clients")))
	mux.HandleFunc("/closed", func(_ http.ResponseWriter, r *http.Request) {
		var ends []pageEnd
		if err := json.NewDecoder(r.Body).Decode(&ends); err != nil {
			s.t.Error(err)
		}
		s.ends <- ends
	})
	mux.HandleFunc("/server", s.serve(closedByServer))
	mux.HandleFunc("/client", s.serve(closedByClient))
	mux.HandleFunc("/handler", s.serveHandler)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests[r.Proto+" from "+r.RemoteAddr]++
		s.mu.Unlock()
		mux.ServeHTTP(w, r)
	})
}

// serve has a conversation with each client.
func (s *sharingServer) serve(converse func(c *websock.Conn) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.running.Add(1)
		defer s.running.Done()
		conn, err := websock.Accept(w, r, &websock.AcceptOptions{Subprotocols: []string{"chat"}, Limits: unhurried})
		if err != nil {
			s.t.Error(err)
			return
		}
		defer conn.Close()
		for _, op := range []websock.Opcode{websock.OpText, websock.OpBinary} {
			if err := echoed(conn, op, payload(70_000)); err != nil {
				s.t.Error(r.URL.Path, err)
			}
		}
		if err := converse(conn); err != nil {
			s.t.Error(r.URL.Path, err)
		}
	}
}

func closedByServer(c *websock.Conn) error { return c.CloseWith(websock.CloseNormal, "that is all") }

func closedByClient(c *websock.Conn) error {
	if err := c.SendText([]byte("close, please")); err != nil {
		return err
	}
	_, _, err := c.RecvMessage(nil)
	var closed *websock.CloseError
	if !errors.As(err, &closed) || closed.Code != websock.CloseNormal || closed.Reason != "as you like" {
		return fmt.Errorf("received %w", err)
	}
	return c.Close()
}

// serveHandler has a Handler close the WebSocket when the first echo comes.
func (s *sharingServer) serveHandler(w http.ResponseWriter, r *http.Request) {
	s.running.Add(1)
	conn, err := websock.Accept(w, r, &websock.AcceptOptions{
		Subprotocols: []string{"chat"},
		Limits:       unhurried,
		Handler: websock.Messages(
			func(c *websock.Conn, _ websock.Opcode, _ []byte) { c.CloseWith(websock.CloseNormal, "that is all") },
			func(_ *websock.Conn, err error) {
				var closed *websock.CloseError
				if !errors.As(err, &closed) || !closed.Local || closed.Code != websock.CloseNormal {
					s.t.Error("OnClose got", err)
				}
				s.running.Done()
			}),
	})
	if err == nil {
		err = conn.SendText([]byte("hello"))
	}
	if err != nil {
		s.t.Error(err)
	}
}
