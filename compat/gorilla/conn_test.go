package websocket

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// connected returns a connection, and its peer, which accepts compression.
func connected(t *testing.T, d *Dialer) (*Conn, *websock.Conn) {
	accepted := make(chan *websock.Conn, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := websock.Accept(w, r, &websock.AcceptOptions{Compression: websock.Compression{Level: 1}})
		if err != nil {
			t.Error(err)
		}
		accepted <- peer
	}))
	t.Cleanup(server.Close)
	c, _, err := d.Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	peer := <-accepted
	t.Cleanup(func() {
		c.Close()
		peer.Abort(nil)
	})
	return c, peer
}

func TestManyGoroutinesWriteMessages(t *testing.T) {
	c, peer := connected(t, &Dialer{})
	var writers sync.WaitGroup
	for i := range 8 {
		writers.Go(func() {
			for range 50 {
				if err := errors.Join(c.WriteMessage(TextMessage, fmt.Append(nil, i)), c.WriteJSON(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := map[string]int{}
	for range 8 * 50 * 2 {
		_, msg, err := peer.RecvMessage(nil)
		if err != nil {
			t.Fatal(err)
		}
		seen[strings.TrimSpace(string(msg))]++
	}
	writers.Wait()
	for i := range 8 {
		if n := seen[fmt.Sprint(i)]; n != 100 {
			t.Errorf("%d messages of goroutine %d", n, i)
		}
	}
}

func TestMessagesAreLimitedByDefault(t *testing.T) {
	c, peer := connected(t, &Dialer{})
	go peer.SendBinary(make([]byte, websock.DefaultMessageSize+1))
	if _, _, err := c.ReadMessage(); err != ErrReadLimit {
		t.Errorf("%v", err)
	}
}

func TestTheReadLimitCountsDecompressedBytes(t *testing.T) {
	for size, want := range map[int]error{1000: nil, 1001: ErrReadLimit} {
		c, peer := connected(t, &Dialer{EnableCompression: true})
		c.SetReadLimit(1000)
		if err := peer.SendBinary(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if _, p, err := c.ReadMessage(); err != want || err == nil && len(p) != size {
			t.Errorf("%d bytes: %v", size, err)
		}
		if sent := peer.Stats().AfterDeflate; sent == 0 || sent > 100 {
			t.Errorf("%d bytes were sent: the message was not compressed", sent)
		}
	}
}

func TestAProgramCanMoveOnCallByCall(t *testing.T) {
	c, peer := connected(t, &Dialer{})
	peer.SendText([]byte("a message"))
	if _, p, err := c.ReadMessage(); string(p) != "a message" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
	if _, _, err := c.Websock().RecvTimeout(nil, time.Millisecond); err != websock.ErrTimeout {
		t.Error(err)
	}
	peer.SendText([]byte("another"))
	if _, msg, err := c.Websock().RecvMessage(nil); string(msg) != "another" || err != nil {
		t.Errorf("%q, %v", msg, err)
	}
}

func TestAPongAfterTheWriteDeadlineDoesNotEndWriting(t *testing.T) {
	c, peer := connected(t, &Dialer{})
	c.SetWriteDeadline(time.Now().Add(time.Minute))
	if err := c.WriteMessage(TextMessage, []byte("in time")); err != nil {
		t.Fatal(err)
	}
	c.SetWriteDeadline(time.Unix(1, 0))
	peer.SendPing([]byte("a ping"))
	peer.SendText([]byte("a message"))
	if _, p, err := c.ReadMessage(); string(p) != "a message" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
	c.SetWriteDeadline(time.Time{})
	if err := c.WriteMessage(TextMessage, []byte("in time, too")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"in time", "in time, too"} {
		if _, msg, err := peer.RecvMessage(nil); string(msg) != want || err != nil {
			t.Errorf("%q, %v, want %q", msg, err, want)
		}
	}
}

func TestThePeersCloseFrameIsAnsweredBeforeTheReadReturns(t *testing.T) {
	for range 20 {
		c, peer := connected(t, &Dialer{})
		var writer sync.WaitGroup
		writer.Go(func() {
			for c.WriteMessage(TextMessage, []byte("chatter")) == nil {
			}
		})
		if err := peer.SendClose(websock.CloseGoingAway, ""); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.ReadMessage(); !IsCloseError(err, CloseGoingAway) {
			t.Error(err)
		}
		c.Close()
		var err error
		for err == nil {
			_, _, err = peer.RecvMessage(nil)
		}
		var closed *websock.CloseError
		if !errors.As(err, &closed) || closed.Err != websock.ErrClosed {
			t.Fatalf("the peer got no answer: %v", err)
		}
		writer.Wait()
	}
}

func TestAPingHandlerIsNotCalledWhileNothingReads(t *testing.T) {
	c, peer := connected(t, &Dialer{})
	called := false
	c.SetPingHandler(func(string) error { called = true; return nil })
	peer.SendPing(nil)
	peer.SendText(nil)
	if called {
		t.Error("it was called before the read")
	}
	c.ReadMessage()
	if !called {
		t.Error("it was not called by the read")
	}
}

func TestTheTextOfACloseErrorHasTheCode(t *testing.T) {
	for want, err := range map[string]*CloseError{
		"websocket: close 1001 (going away): bye": {CloseGoingAway, "bye"},
		"websocket: close 4000":                   {4000, ""},
	} {
		if got := err.Error(); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestUpgradeRequestsAreRecognized(t *testing.T) {
	for connection, want := range map[string]bool{"Upgrade": true, "keep-alive, upgrade": true, "close": false, "": false} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Connection", connection)
		r.Header.Set("Upgrade", "WebSocket")
		r.Header.Set("Sec-Websocket-Protocol", "a, b")
		if got := IsWebSocketUpgrade(r); got != want {
			t.Errorf("%q: %v", connection, got)
		}
		if got := Subprotocols(r); len(got) != 2 || got[1] != "b" {
			t.Errorf("%q", got)
		}
	}
}
