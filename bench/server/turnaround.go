//go:build linux

package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Turnaround is the time from sending a message to a client to receiving the next one from it. The
// server measures it, so that it costs the clients nothing.
type Turnaround struct{ P50, P99 time.Duration }

// turnaroundPath is the path that a client requests, on a separate connection, for the turnaround since
// the last request. The first request makes the server measure it.
const turnaroundPath = "/turnaround"

// turnarounds has the turnarounds of a loop.
type turnarounds struct {
	began time.Time
	all   *hdrhistogram.Histogram // nanoseconds
}

func newTurnarounds() *turnarounds {
	return &turnarounds{time.Now(), hdrhistogram.New(1, int64(time.Minute), 3)}
}

func (t *turnarounds) now() time.Duration { return time.Since(t.began) }

// sent records the time of sending to an open session.
func (t *turnarounds) sent(c *conn) {
	if c.open {
		c.sentAt = t.now()
	}
}

// received records a turnaround.
func (t *turnarounds) received(c *conn) {
	if c.sentAt > 0 {
		t.all.RecordValue(int64(t.now() - c.sentAt)) // more than a minute is ignored
		c.sentAt = 0
	}
}

// answer returns the response to a request for the turnaround, and resets it.
func (t *turnarounds) answer() []byte {
	body, err := json.Marshal(Turnaround{
		P50: time.Duration(t.all.ValueAtQuantile(50)),
		P99: time.Duration(t.all.ValueAtQuantile(99)),
	})
	if err != nil {
		panic(err) // two numbers
	}
	t.all.Reset()
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// Turnaround returns the turnaround since the last call.
func (t *Trigger) Turnaround() (took Turnaround, err error) {
	if _, err := fmt.Fprintf(t.conn, "GET %s HTTP/1.1\r\n\r\n", turnaroundPath); err != nil {
		return took, err
	}
	response, err := http.ReadResponse(t.answer, nil)
	if err != nil {
		return took, err
	}
	defer response.Body.Close()
	return took, json.NewDecoder(response.Body).Decode(&took)
}
