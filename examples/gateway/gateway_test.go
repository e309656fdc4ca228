package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// newUpstream starts a server that answers each message with its name and the message, and
// returns its URL.
func newUpstream(t *testing.T, name string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			op, msg, err := conn.RecvMessage(nil)
			if err != nil {
				return
			}
			conn.SendFrame(op, true, append([]byte(name+" heard "), msg...))
		}
	}))
	t.Cleanup(server.Close)
	return webSocketURL(server)
}

func webSocketURL(s *httptest.Server) string { return "ws" + strings.TrimPrefix(s.URL, "http") }

func TestMessagesReachAllUpstreamsAndAnswersAllBrowsers(t *testing.T) {
	g, err := newGateway([]string{newUpstream(t, "a"), newUpstream(t, "b")})
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	server := httptest.NewServer(g)
	defer server.Close()
	var browsers []*websock.Conn
	for range 3 {
		conn, err := websock.Dial(t.Context(), webSocketURL(server), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		browsers = append(browsers, conn)
	}
	for end := time.Now().Add(time.Minute); g.upstreams.Stats().Up < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the upstreams were not connected")
		}
	}
	if err := browsers[0].SendText([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	for i, conn := range browsers {
		var got []string
		for range 2 {
			conn.SetRecvDeadline(time.Now().Add(time.Minute))
			_, msg, err := conn.RecvMessage(nil)
			if err != nil {
				t.Fatal(i, err)
			}
			got = append(got, string(msg))
		}
		slices.Sort(got)
		if want := []string{"a heard hello", "b heard hello"}; !slices.Equal(got, want) {
			t.Errorf("browser %d got %q", i, got)
		}
	}
}
