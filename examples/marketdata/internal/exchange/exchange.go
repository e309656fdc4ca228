package exchange

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
)

// An Exchange is an http.Handler. It does nothing by itself, but what Step does. Its methods may be
// called from any goroutine; the exported fields must not be changed when it is in use.
type Exchange struct {
	Lifetime      time.Duration     // of a connection
	PingEvery     time.Duration     // the time between two pings
	PongTimeout   time.Duration     // the time after a ping in which its payload has to come back
	Subscriptions int               // that a connection may make in a second
	Transport     websock.Transport // of connections; nil: the default

	mu          sync.Mutex
	random      *rand.Rand
	symbols     []string
	books       map[string]*book
	sessions    map[*session]bool
	fault       Fault     // in the next Step
	closedUntil time.Time // handshakes are refused with status until then
	status      int
	refusing    int // the next subscriptions are refused
	stats       Stats
}

// Stats are counters, since the exchange was made.
type Stats struct {
	Open          int // connections that there are
	Handshakes    []time.Time
	Subscriptions int // that were answered with a snapshot
	TooMany       int // that were refused since there were too many in a second
	PongsMissing  int // connections that were closed since a pong was missing
	Expired       int // connections that were closed after their Lifetime
}

// New returns an exchange with a book for each symbol. The same seed gives the same books.
func New(seed uint64, symbols ...string) *Exchange {
	e := &Exchange{
		Lifetime:      24 * time.Hour,
		PingEvery:     3 * time.Minute,
		PongTimeout:   time.Minute,
		Subscriptions: 5,
		random:        rand.New(rand.NewPCG(seed, seed)),
		symbols:       symbols,
		books:         map[string]*book{},
		sessions:      map[*session]bool{},
	}
	for _, symbol := range symbols {
		e.books[symbol] = newBook(e.random)
	}
	return e
}

// Misbehave has the next Step do something wrong.
func (e *Exchange) Misbehave(f Fault) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fault = f
}

// Stats returns the counters.
func (e *Exchange) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	stats := e.stats
	stats.Open = len(e.sessions)
	stats.Handshakes = slices.Clone(stats.Handshakes)
	return stats
}

// Levels returns the prices and sizes of a book, the best first.
func (e *Exchange) Levels(symbol string) (bids, asks [][2]string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.books[symbol].levels()
}

// ServeHTTP accepts a connection.
func (e *Exchange) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	e.mu.Lock()
	e.stats.Handshakes = append(e.stats.Handshakes, now)
	wait, status := e.closedUntil.Sub(now), e.status
	e.mu.Unlock()
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
		http.Error(w, http.StatusText(status), status)
		return
	}
	conn, err := websock.Accept(w, r, &websock.AcceptOptions{
		Limits:    websock.Limits{MessageSize: 4 << 10},
		Transport: e.Transport,
		KeepAlive: websock.KeepAlive{OnPong: onPong},
	})
	if err != nil {
		return
	}
	s := &session{exchange: e, conn: conn, since: now, pinged: now, seqs: map[string]int64{}, out: make(chan func() error, 1024)}
	conn.SetValue(s)
	e.mu.Lock()
	e.sessions[s] = true
	e.mu.Unlock()
	go s.write()
	if err := conn.SetHandler(websock.Messages(s.receive, s.end)); err != nil {
		s.end(conn, err)
	}
}

// Step changes all books, sends the updates, and pings and closes connections when it is time for that.
func (e *Exchange) Step() {
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.fault
	e.fault = None
	e.disconnectLocked(f, now)
	for i, symbol := range e.symbols {
		bids, asks := e.books[symbol].change(e.random)
		if i > 0 {
			f = None // one wrong message is enough
		}
		for s := range e.sessions {
			if m := s.nextLocked(symbol, now); m != nil {
				m.Type, m.Bids, m.Asks = "update", bids, asks
				s.sendFaultyLocked(f, m)
			}
		}
	}
	for s := range e.sessions {
		s.superviseLocked(now)
	}
}

// Close aborts all connections.
func (e *Exchange) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.disconnectLocked(Disconnect, time.Now())
}

// A message is a snapshot, an update or an error.
type message struct {
	Type     string      `json:"type"`
	Symbol   string      `json:"symbol"`
	Prev     int64       `json:"prev,omitempty"`
	Seq      int64       `json:"seq,omitempty"`
	Time     int64       `json:"time,omitempty"`
	Bids     [][2]string `json:"bids,omitempty"`
	Asks     [][2]string `json:"asks,omitempty"`
	Checksum uint32      `json:"checksum,omitempty"`
	Error    string      `json:"error,omitempty"`
	Padding  []byte      `json:"padding,omitempty"`
}

func (m *message) encode() []byte {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // it has no field that can't be encoded
	}
	return text
}
