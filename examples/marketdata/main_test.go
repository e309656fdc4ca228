package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

const quotesOfAVenue = 300

// newVenue returns the URL of a venue that aborts the connection after every 100 quotes. After a
// subscription it starts some quotes early, as servers do that store quotes in blocks.
func newVenue(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			return
		}
		_, msg, err := conn.RecvMessage(nil)
		var wanted subscription
		if err != nil || json.Unmarshal(msg, &wanted) != nil {
			t.Errorf("the subscription is %q, %v", msg, err)
			return
		}
		first := max(wanted.After-5, 0) + 1
		last := min(wanted.After+100, quotesOfAVenue)
		for n := first; n <= last; n++ {
			text, _ := json.Marshal(quote{Number: n, Symbol: "ABC", Price: float64(n) / 8})
			if err := conn.SendText(text); err != nil {
				return
			}
		}
		if last < quotesOfAVenue {
			time.Sleep(10 * time.Millisecond)
			conn.Abort(nil)
			return
		}
		conn.RecvMessage(nil)
		conn.Close()
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

func TestQuotesArriveOnceAndInOrder(t *testing.T) {
	venues := []string{newVenue(t), newVenue(t), newVenue(t)}
	stream, err := join(venues, 1024)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.close()
	last := map[string]int64{}
	for range len(venues) * quotesOfAVenue {
		select {
		case q := <-stream.quotes:
			if q.Number != last[q.Venue]+1 || q.Price != float64(q.Number)/8 {
				t.Fatalf("received %+v after number %d", q, last[q.Venue])
			}
			last[q.Venue] = q.Number
		case <-time.After(time.Minute):
			t.Fatalf("no more quotes after %v", last)
		}
	}
}

func TestSlowReaderGetsAllQuotes(t *testing.T) {
	venue := newVenue(t)
	stream, err := join([]string{venue}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.close()
	time.Sleep(50 * time.Millisecond)
	for n := int64(1); n <= quotesOfAVenue; n++ {
		select {
		case q := <-stream.quotes:
			if q.Number != n {
				t.Fatalf("%+v instead of number %d", q, n)
			}
		case <-time.After(time.Minute):
			t.Fatalf("number %d did not arrive", n)
		}
	}
}
