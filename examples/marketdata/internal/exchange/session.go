package exchange

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/seed004e8d11/websock"
)

// A session is a connection. What is to be sent and done on it waits in a queue, so that a client that
// is slow doesn't delay the others. The lock of the exchange guards the fields below conn.
type session struct {
	exchange *Exchange
	conn     *websock.Conn

	out     chan func() error
	since   time.Time
	seqs    map[string]int64 // last number that was sent, by subscribed symbol
	stalled bool

	second  time.Time // begin of the second in which subscriptions are counted
	count   int
	pinged  time.Time // when the last ping was sent
	payload string    // that has to come back; "": it has
}

// write does what is in the queue. Errors are those of a connection that is closed or lost, except that
// of a client that doesn't read.
func (s *session) write() {
	for do := range s.out {
		if err := do(); errors.Is(err, websock.ErrSendQueueFull) {
			s.conn.Abort(err) // end follows
		}
	}
}

// doLocked puts something into the queue. A client for which too much waits is disconnected.
func (s *session) doLocked(do func() error) {
	select {
	case s.out <- do:
	default:
		go s.conn.Abort(nil)
	}
}

func (s *session) sendLocked(text []byte) {
	if !s.stalled {
		s.doLocked(func() error { return s.conn.SendText(text) })
	}
}

// end is called when the connection has ended.
func (s *session) end(*websock.Conn, error) {
	e := s.exchange
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sessions, s)
	close(s.out)
}

// receive answers a subscription with a snapshot.
func (s *session) receive(_ *websock.Conn, _ websock.Opcode, msg []byte) {
	var request struct{ Op, Symbol string }
	err := json.Unmarshal(msg, &request)
	e, now := s.exchange, time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	answer := message{Type: "error", Symbol: request.Symbol}
	b := e.books[request.Symbol]
	switch {
	case err != nil || request.Op != "subscribe":
		answer.Error = "this is no subscription"
	case b == nil:
		answer.Error = "unknown symbol"
	case e.refusing > 0:
		e.refusing--
		answer.Error = "try again later"
	case s.tooManyLocked(now):
		e.stats.TooMany++
		answer.Error = "too many subscriptions"
	default:
		e.stats.Subscriptions++
		s.seqs[request.Symbol] = 1 + e.random.Int64N(1e6)
		answer = *s.nextLocked(request.Symbol, now)
		answer.Type, answer.Prev = "snapshot", 0
		answer.Bids, answer.Asks = b.levels()
	}
	s.sendLocked(answer.encode())
}

// tooManyLocked counts a subscription.
func (s *session) tooManyLocked(now time.Time) bool {
	if now.Sub(s.second) >= time.Second {
		s.second, s.count = now, 0
	}
	s.count++
	return s.count > s.exchange.Subscriptions
}

// nextLocked returns the next message about a book, nil if the client hasn't subscribed to it.
func (s *session) nextLocked(symbol string, now time.Time) *message {
	e, prev := s.exchange, s.seqs[symbol]
	if prev == 0 {
		return nil
	}
	s.seqs[symbol] += 1 + e.random.Int64N(3)
	return &message{
		Symbol:   symbol,
		Prev:     prev,
		Seq:      s.seqs[symbol],
		Time:     now.UnixMilli(),
		Checksum: e.books[symbol].checksum(),
	}
}

// superviseLocked sends a ping if it is time for one, and closes the connection if it is too old or the
// last ping was not answered.
func (s *session) superviseLocked(now time.Time) {
	e := s.exchange
	switch {
	case s.stalled:
	case now.Sub(s.since) >= e.Lifetime:
		s.since = now.Add(e.Lifetime) // once
		e.stats.Expired++
		s.doLocked(func() error { return s.conn.CloseWith(websock.CloseGoingAway, "connected for too long") })
	case s.payload != "" && now.Sub(s.pinged) >= e.PongTimeout:
		s.payload = ""
		e.stats.PongsMissing++
		s.doLocked(func() error { return s.conn.CloseWith(websock.ClosePolicyViolation, "no pong") })
	case s.payload == "" && now.Sub(s.pinged) >= e.PingEvery:
		s.pinged, s.payload = now, strconv.FormatInt(now.UnixNano(), 36)
		ping := []byte(s.payload)
		s.doLocked(func() error { return s.conn.SendPing(ping) })
	}
}

// onPong accepts a pong that has the payload of the last ping.
func onPong(c *websock.Conn, payload []byte) {
	s := c.Value().(*session)
	s.exchange.mu.Lock()
	defer s.exchange.mu.Unlock()
	if string(payload) == s.payload {
		s.payload = ""
	}
}
