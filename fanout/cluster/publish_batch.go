package cluster

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Where many messages of a key wait, acknowledging each before the next is sent would take a round trip for
// each. If the stream allows it, they are sent as a fast batch instead (ADR-50 of NATS): the server stores
// them in order, stops at a gap, and acknowledges the last one. The reply subject says which batch it is,
// and where in it a message is. Messages of a batch that isn't acknowledged as a whole are sent again one
// by one.
//
// A stream with replicas gets no batches. While a message is on its way to the replicas, its leader takes
// the same message in a batch for stored, although it may still be lost. And in tests where the leader of
// such a stream was stopped (nats-server 2.15.3), the IDs of some messages of batches were then refused as
// being in process until the stream's Duplicates had passed.
const (
	minBatch   = 8   // fewer messages are sent one by one
	maxBatch   = 500 // messages
	maxBatches = 64  // at a time; a stream accepts 1,000 of all publishers
)

func takesBatches(c *jetstream.StreamConfig) bool { return c.AllowBatchPublish && c.Replicas <= 1 }

// batchPrefix begins, after inbox, reply subjects of batches, up to the number of their first message. Their
// IDs are of the whole stream: they begin with what makes the inbox unique.
func batchPrefix(inbox string) string {
	tokens := strings.Split(strings.TrimSuffix(inbox, "."), ".")
	return tokens[len(tokens)-1] + "-"
}

// batchOfLocked returns how many messages of a key to send, if so many wait.
func (s *streamPublisher) batchOfLocked(waiting int) int {
	if s.batch == "" || waiting < minBatch || s.batches >= maxBatches {
		return 1
	}
	s.batches++ // until fresh counts them
	return maxBatch
}

// sendBatch sends a batch. If that isn't possible, the messages are given back.
func (s *streamPublisher) sendBatch(messages []taken) {
	number := messages[0].number
	for i := range messages {
		if !s.stillHeld(&messages[i]) {
			s.giveBack(number)
			return
		}
	}
	for i := range messages {
		msg, ok := s.encoder.encodeForStream(&messages[i], s.inbox+s.batch, number, batchPosition(i, len(messages)))
		if !ok || s.conn.PublishMsg(msg) != nil {
			s.giveBack(number)
			return
		}
	}
}

// batchPosition ends the reply subject of message i of n: the most messages without an acknowledgement,
// what to do at a gap, the position, and whether the message begins (0), continues (1) or ends (2) the
// batch.
func batchPosition(i, n int) string {
	operation := "1"
	switch i {
	case 0:
		operation = "0"
	case n - 1:
		operation = "2"
	}
	return ".65535.fail." + strconv.Itoa(i+1) + "." + operation + ".$FI"
}

// giveBack has messages sent one by one, from the first.
func (s *streamPublisher) giveBack(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.giveBackLocked(number)
}

func (s *streamPublisher) giveBackLocked(number uint64) {
	if m, ok := s.forgetLocked(number); ok {
		s.queue.giveBack(m.key)
	}
}

// batchAcknowledged is called with an answer to a batch. to is the subject from the number on.
func (s *streamPublisher) batchAcknowledged(to string, msg *nats.Msg) {
	text, _, _ := strings.Cut(to, ".")
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return
	}
	count, ended, err := parseBatchAck(msg)
	if !ended {
		return
	}
	s.mu.Lock()
	n := 1 + len(s.sent[number].others)
	s.mu.Unlock()
	if err != nil || count != n {
		s.queue.count(func(stats *PublishStats) { stats.Retries += uint64(n) })
		s.giveBack(number)
	} else if m, ok := s.forget(number); ok {
		s.queue.settle(m.key, notDropped)
		s.queue.settleAll(m.others, nil)
	}
	s.noteRefusal(err)
}

// parseBatchAck returns how many messages of a batch are stored, if the answer is the last one.
func parseBatchAck(msg *nats.Msg) (count int, ended bool, err error) {
	if len(msg.Data) == 0 {
		return 0, true, nats.ErrNoResponders
	}
	var ack struct {
		Type  string              `json:"type"` // of answers before the last: "ack", "gap", "err"
		Count int                 `json:"count"`
		Error *jetstream.APIError `json:"error"`
	}
	switch err := json.Unmarshal(msg.Data, &ack); {
	case err != nil:
		return 0, true, err
	case ack.Type != "":
		return 0, false, nil
	case ack.Error != nil:
		return 0, true, ack.Error
	case ack.Count == 0:
		return 0, true, errors.New("cluster: invalid acknowledgement of a batch")
	}
	return ack.Count, true, nil
}
