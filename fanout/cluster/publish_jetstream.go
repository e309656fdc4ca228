package cluster

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
)

// A streamPublisher publishes what is in the queue to a stream of JetStream: of each key one message, or
// one batch, at a time. Messages are sent again and again until they are acknowledged. The number of a
// message is in its ID, and in the subject to which its acknowledgement is sent.
type streamPublisher struct {
	*publisher
	inbox string        // begins the subjects of acknowledgements
	batch string        // begins, after inbox, those of batches
	wake  chan struct{} // gets a value when an acknowledgement has come, with room for one

	mu      sync.Mutex
	sent    map[uint64]sentMessages // that are not acknowledged, by the number of the first; at most InFlight
	batches int                     // of these; at most maxBatches, and 0 if the stream takes none
	noted   time.Time               // when a refusal was logged last
}

// sentMessages are messages of one key, sent together.
type sentMessages struct {
	taken            // the first
	others []taken   // more than none are a batch
	due    time.Time // when the first is sent again, or the batch given back
}

const (
	retryWait     = 500 * time.Millisecond // before a message is sent again that the stream didn't take
	retryInterval = 100 * time.Millisecond // between two looks for messages to be sent again

	refusalInterval = 10 * time.Second // between two records in the log
)

// newStreamPublisher creates the stream, if it is asked to.
func newStreamPublisher(ctx context.Context, p *publisher) (*streamPublisher, error) {
	stream, err := p.openStream(ctx)
	if err != nil {
		return nil, err
	}
	s := &streamPublisher{
		publisher: p,
		inbox:     p.conn.NewInbox() + ".",
		wake:      make(chan struct{}, 1),
		sent:      map[uint64]sentMessages{},
	}
	if takesBatches(&stream.CachedInfo().Config) {
		s.batch = batchPrefix(s.inbox)
	}
	return s, nil
}

// openStream tries until ctx ends, since servers that have just been started may refuse at first.
func (p *publisher) openStream(ctx context.Context) (jetstream.Stream, error) {
	js, err := jetstream.New(p.conn)
	if err != nil {
		return nil, err
	}
	for {
		stream, err := p.openStreamOnce(ctx, js)
		if err == nil || !store.MayPass(err) || p.conn.IsClosed() {
			return stream, err
		}
		select {
		case <-time.After(retryInterval):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (p *publisher) openStreamOnce(ctx context.Context, js jetstream.JetStream) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	subjects := p.encoder.prefix + ">"
	if p.Stream == nil {
		name, err := js.StreamNameBySubject(ctx, subjects)
		if err != nil {
			return nil, fmt.Errorf("cluster: no stream has the subjects %s: %w", subjects, err)
		}
		return js.Stream(ctx, name)
	}
	config := *p.Stream
	config.Name = cmp.Or(config.Name, p.name+"-rx")
	config.Replicas = cmp.Or(config.Replicas, p.replicas)
	if config.Subjects == nil {
		config.Subjects = []string{subjects}
	}
	stream, err := js.CreateStream(ctx, config)
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		stream, err = js.Stream(ctx, config.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("cluster: can't create the stream %s: %w", config.Name, err)
	}
	return stream, nil
}

// run publishes until stop is closed.
func (s *streamPublisher) run() {
	acks, err := s.conn.Subscribe(s.inbox+">", s.acknowledged)
	if err != nil { // the connection is closed
		return
	}
	defer acks.Unsubscribe()
	acks.SetPendingLimits(-1, -1) // there are not many more than InFlight
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
			for one := range byKey(messages) {
				s.send(one)
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

// byKey returns the parts of messages that are of one key.
func byKey(messages []taken) func(yield func([]taken) bool) {
	return func(yield func([]taken) bool) {
		for len(messages) > 0 {
			n := 1
			for n < len(messages) && messages[n].key == messages[0].key {
				n++
			}
			if !yield(messages[:n]) {
				return
			}
			messages = messages[n:]
		}
	}
}

// again appends to buf the messages that are due to be sent again, or all if now is zero. Those of
// batches are given back instead, to be sent one by one.
func (s *streamPublisher) again(buf []taken, now time.Time) []taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := time.Now().Add(s.AckWait)
	retries := 0
	for number, m := range s.sent {
		switch {
		case !now.IsZero() && now.Before(m.due):
			continue
		case len(m.others) > 0:
			retries += 1 + len(m.others)
			s.giveBackLocked(number)
		default:
			retries++
			m.due = due
			s.sent[number] = m
			buf = append(buf, m.taken)
		}
	}
	if retries > 0 {
		s.queue.count(func(stats *PublishStats) { stats.Retries += uint64(retries) })
	}
	return buf
}

// fresh appends to buf what is to be sent for the first time, or one by one.
func (s *streamPublisher) fresh(buf []taken) []taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := time.Now().Add(s.AckWait)
	n, batches := len(buf), s.batches
	buf = s.queue.take(buf, s.InFlight-len(s.sent), s.Buffer, s.batchOfLocked)
	s.batches = batches
	for one := range byKey(buf[n:]) {
		if len(one) > 1 {
			s.batches++
		}
		s.sent[one[0].number] = sentMessages{taken: one[0], others: slices.Clone(one[1:]), due: due}
	}
	return buf
}

// send sends messages of a key: one, or a batch.
func (s *streamPublisher) send(messages []taken) {
	first := &messages[0]
	switch {
	case !s.queue.waits(first.key):
		s.forget(first.number)
	case len(messages) > 1:
		s.sendBatch(messages)
	case !s.stillHeld(first):
		s.settle(first.number, DropNotHeld)
	default:
		msg, ok := s.encoder.encodeForStream(first, s.inbox, first.number, "")
		if !ok || errors.Is(s.conn.PublishMsg(msg), nats.ErrMaxPayload) {
			s.settle(first.number, DropTooLarge)
		}
		// After any other error, the message is sent again when it is due, or the connection is back.
	}
}

// forget removes messages from those that are not acknowledged, and reports whether they were there.
func (s *streamPublisher) forget(number uint64) (m sentMessages, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.forgetLocked(number)
}

func (s *streamPublisher) forgetLocked(number uint64) (m sentMessages, ok bool) {
	m, ok = s.sent[number]
	delete(s.sent, number)
	if len(m.others) > 0 {
		s.batches--
	}
	return m, ok
}

// settle is called when a message was stored, or is dropped. That may be more than once.
func (s *streamPublisher) settle(number uint64, why DropReason) {
	if m, ok := s.forget(number); ok {
		s.queue.settle(m.key, why)
	}
}

// acknowledged is called with the answer to messages.
func (s *streamPublisher) acknowledged(msg *nats.Msg) {
	to := msg.Subject[len(s.inbox):]
	if s.batch != "" && strings.HasPrefix(to, s.batch) {
		s.batchAcknowledged(to[len(s.batch):], msg)
	} else if number, err := strconv.ParseUint(to, 10, 64); err == nil {
		s.messageAcknowledged(number, msg)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *streamPublisher) messageAcknowledged(number uint64, msg *nats.Msg) {
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
}

// postpone lets a message be sent again in a while.
func (s *streamPublisher) postpone(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, ok := s.sent[number]; ok && len(m.others) == 0 {
		m.due = time.Now().Add(retryWait)
		s.sent[number] = m
	}
}

// noteRefusal logs an error with which the stream refuses messages, unless it has just logged one.
func (s *streamPublisher) noteRefusal(err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	now := time.Now()
	due := now.Sub(s.noted) >= refusalInterval
	if due {
		s.noted = now
	}
	s.mu.Unlock()
	if due {
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
