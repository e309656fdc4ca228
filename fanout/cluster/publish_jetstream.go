package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A streamPublisher publishes what is in the queue to a stream of JetStream: of each key one message at a
// time, again and again until it is acknowledged. The number of a message is in its ID and in the subject
// to which its acknowledgement is sent.
type streamPublisher struct {
	*publisher
	inbox string        // begins the subjects of acknowledgements
	wake  chan struct{} // gets a value when an acknowledgement has come, with room for one

	mu      sync.Mutex
	sent    map[uint64]sentMessage // that are not acknowledged, by number; at most InFlight
	refused error                  // why the last message was not stored; nil: it was
}

// A sentMessage is one that isn't acknowledged.
type sentMessage struct {
	taken
	due time.Time // when it is sent again
}

const (
	retryWait     = 500 * time.Millisecond // before a message is sent again that the stream didn't take
	retryInterval = 100 * time.Millisecond // between two looks for messages to be sent again
)

// newStreamPublisher creates the stream, if it is asked to.
func newStreamPublisher(ctx context.Context, p *publisher) (*streamPublisher, error) {
	js, err := jetstream.New(p.conn)
	if err != nil {
		return nil, err
	}
	subjects := p.encoder.prefix + ">"
	if p.Stream == nil {
		if _, err := js.StreamNameBySubject(ctx, subjects); err != nil {
			return nil, fmt.Errorf("cluster: no stream has the subjects %s: %w", subjects, err)
		}
	} else {
		config := *p.Stream
		if config.Name == "" {
			config.Name = p.name + "-rx"
		}
		if config.Subjects == nil {
			config.Subjects = []string{subjects}
		}
		_, err := js.CreateStream(ctx, config)
		if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return nil, fmt.Errorf("cluster: can't create the stream %s: %w", config.Name, err)
		}
	}
	return &streamPublisher{
		publisher: p,
		inbox:     p.conn.NewInbox() + ".",
		wake:      make(chan struct{}, 1),
		sent:      map[uint64]sentMessage{},
	}, nil
}

// run publishes until stop is closed.
func (s *streamPublisher) run() {
	acks, err := s.conn.Subscribe(s.inbox+"*", s.acknowledged)
	if err != nil { // the connection is closed
		return
	}
	defer acks.Unsubscribe()
	acks.SetPendingLimits(-1, -1) // there are at most InFlight
	status := s.conn.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer s.conn.RemoveStatusListener(status)
	look := time.NewTicker(retryInterval)
	defer look.Stop()
	reconnects := s.conn.Stats().Reconnects
	var messages []taken
	for {
		if s.conn.IsConnected() {
			if n := s.conn.Stats().Reconnects; n != reconnects { // nothing that was sent may have arrived
				reconnects = n
				messages = s.again(messages, time.Time{})
			}
			messages = s.fresh(messages)
			for i := range messages {
				s.send(&messages[i])
			}
			clear(messages)
			messages = messages[:0]
		}
		select {
		case <-s.queue.wake:
		case <-s.wake:
		case <-status:
		case now := <-look.C:
			if s.conn.IsConnected() {
				messages = s.again(messages, now)
			}
		case <-s.stop:
			return
		}
	}
}

// again appends to buf the messages that are due to be sent again, or all if now is zero.
func (s *streamPublisher) again(buf []taken, now time.Time) []taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := time.Now().Add(s.AckWait)
	for number, m := range s.sent {
		if now.IsZero() || !now.Before(m.due) {
			s.sent[number] = sentMessage{m.taken, due}
			buf = append(buf, m.taken)
		}
	}
	if n := len(buf); n > 0 {
		s.queue.count(func(stats *PublishStats) { stats.Retries += uint64(n) })
	}
	return buf
}

// fresh appends to buf what is to be sent for the first time.
func (s *streamPublisher) fresh(buf []taken) []taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := time.Now().Add(s.AckWait)
	n := len(buf)
	buf = s.queue.take(buf, 1, s.InFlight-len(s.sent), s.Buffer)
	for _, m := range buf[n:] {
		s.sent[m.number] = sentMessage{m, due}
	}
	return buf
}

// send sends a message, unless it must not or can't be.
func (s *streamPublisher) send(m *taken) {
	if !s.queue.waits(m.key) {
		s.forget(m.number)
		return
	}
	if !s.stillHeld(m) {
		s.settle(m.number, DropNotHeld)
		return
	}
	msg, ok := s.encoder.encodeForStream(m, s.inbox)
	if !ok || errors.Is(s.conn.PublishMsg(msg), nats.ErrMaxPayload) {
		s.settle(m.number, DropTooLarge)
	}
	// After any other error, the message is sent again when it is due, or the connection is back.
}

// forget removes a message from those that are not acknowledged, and reports whether it was there.
func (s *streamPublisher) forget(number uint64) (m taken, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent, ok := s.sent[number]
	delete(s.sent, number)
	return sent.taken, ok
}

// settle is called when a message was stored, or is dropped. That may be more than once.
func (s *streamPublisher) settle(number uint64, why DropReason) {
	if m, ok := s.forget(number); ok {
		s.queue.settle(m.key, why)
	}
}

// acknowledged is called with the answer to a message.
func (s *streamPublisher) acknowledged(msg *nats.Msg) {
	number, err := strconv.ParseUint(msg.Subject[len(s.inbox):], 10, 64)
	if err != nil {
		return
	}
	duplicate, err := parseAck(msg)
	var refusal *jetstream.APIError
	switch {
	case err == nil:
		if duplicate {
			s.queue.count(func(stats *PublishStats) { stats.Duplicates++ })
		}
		s.settle(number, notDropped)
	case errors.As(err, &refusal) && refusesForGood(refusal.ErrorCode):
		s.settle(number, DropTooLarge)
	default:
		s.postpone(number)
	}
	s.noteRefusal(err)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// postpone lets a message be sent again in a while.
func (s *streamPublisher) postpone(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, ok := s.sent[number]; ok {
		m.due = time.Now().Add(retryWait)
		s.sent[number] = m
	}
}

// noteRefusal logs an error with which the stream refuses messages, once.
func (s *streamPublisher) noteRefusal(err error) {
	s.mu.Lock()
	begins := err != nil && s.refused == nil
	s.refused = err
	s.mu.Unlock()
	if begins {
		s.log(slog.LevelWarn, "JetStream refuses messages", slog.Any("error", err))
	}
}

// The codes of errors that other tries would have, too.
const (
	errCodeMessageTooLarge = jetstream.JSErrCodeStreamMessageExceedsMaximum
	errCodeHeaderTooLarge  = 10097
)

func refusesForGood(code jetstream.ErrorCode) bool {
	return code == errCodeMessageTooLarge || code == errCodeHeaderTooLarge
}

// parseAck returns what the answer to a message says.
func parseAck(msg *nats.Msg) (duplicate bool, err error) {
	if len(msg.Data) == 0 {
		return false, nats.ErrNoResponders
	}
	if !bytes.Contains(msg.Data, []byte(`"error"`)) && bytes.HasPrefix(msg.Data, []byte(`{"stream":`)) {
		return bytes.Contains(msg.Data, []byte(`"duplicate"`)), nil
	}
	var ack struct {
		Stream    string              `json:"stream"`
		Duplicate bool                `json:"duplicate"`
		Error     *jetstream.APIError `json:"error"`
	}
	switch err := json.Unmarshal(msg.Data, &ack); {
	case err != nil:
		return false, fmt.Errorf("cluster: invalid acknowledgement: %w", err)
	case ack.Error != nil:
		return false, ack.Error
	case ack.Stream == "":
		return false, errors.New("cluster: invalid acknowledgement")
	}
	return ack.Duplicate, nil
}
