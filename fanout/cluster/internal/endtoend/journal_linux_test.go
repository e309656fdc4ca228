package endtoend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed004e8d11/websock/fanout/cluster"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/feed"
)

// A journal knows which messages JetStream has acknowledged, and what is in the stream.
type journal struct {
	w      *world
	stream string

	mu    sync.Mutex
	acked map[uint64]bool // by sequence number
}

// watchAcks begins to note acknowledgements, all that the members get.
func (w *world) watchAcks() *journal {
	w.t.Helper()
	j := &journal{w: w, stream: w.config.Cluster + "-rx", acked: map[uint64]bool{}}
	begin := []byte(`{"stream":"` + j.stream + `"`)
	s, err := w.conn.Subscribe("_INBOX.>", func(m *nats.Msg) {
		var ack struct {
			Sequence uint64 `json:"seq"`
		}
		if bytes.HasPrefix(m.Data, begin) && json.Unmarshal(m.Data, &ack) == nil {
			j.mu.Lock()
			j.acked[ack.Sequence] = true
			j.mu.Unlock()
		}
	})
	if err != nil {
		w.t.Fatal(err)
	}
	s.SetPendingLimits(-1, -1)
	return j
}

// A counted is what check has found.
type counted struct {
	sent, stored int
	fenced       int // stored, and to be ignored because of their token
	missing      int // sent, but not stored
	tails        int // sessions at whose end messages are missing
	longest      int // of these
}

// check stops the feed's messages and reads the stream. It fails the test if a message is missing that was
// acknowledged, or that isn't one of the last in its session; if one is there twice; if the messages of
// a key aren't in order; or if a token is lower than one before, unless fenced says that this may be.
func (j *journal) check(mayBeFenced bool) (c counted) {
	t := j.w.t
	t.Helper()
	j.w.sending()
	j.waitUntilPublished()
	sessions := j.w.feed.History()
	stored := make([]int, len(sessions)) // messages of each session
	keys := map[string]*keyJournal{}
	present := map[uint64]bool{}
	for _, m := range j.read() {
		about, err := m.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		present[about.Sequence.Stream] = true
		if string(m.Data()) == askForEcho {
			continue
		}
		c.stored++
		if err := j.checkMessage(m, sessions, stored, keys); err == errFenced {
			c.fenced++
		} else if err != nil {
			t.Errorf("message %d of the stream, %s %q: %v", about.Sequence.Stream, m.Subject(), m.Data(), err)
		}
	}
	j.mu.Lock()
	acked := len(j.acked)
	for sequence := range j.acked {
		if !present[sequence] {
			t.Errorf("message %d of the stream was acknowledged, but isn't there", sequence)
		}
	}
	j.mu.Unlock()
	for i, s := range sessions {
		c.sent += s.Sent
		missing := s.Sent - stored[i]
		if missing == 0 {
			continue
		}
		c.missing += missing
		c.tails++
		c.longest = max(c.longest, missing)
		if s.Ended.IsZero() {
			t.Errorf("session %d of %s, with %s, is open, but %d of its %d messages are missing", s.ID, s.Key, s.Member, missing, s.Sent)
		}
	}
	t.Logf("%d messages sent, %d stored, %d acknowledgements seen; %d missing (%s), at the ends of %d of %d sessions, at most %d of one; %d to be ignored because of their token",
		c.sent, c.stored, acked, c.missing, percent(c.missing, c.sent), c.tails, len(sessions), c.longest, c.fenced)
	if c.fenced > 0 && !mayBeFenced {
		t.Errorf("%d messages have a lower token than one before", c.fenced)
	}
	return c
}

// A keyJournal is what was stored of a key so far.
type keyJournal struct {
	token           uint64
	session, number int // of the last message
}

var errFenced = fmt.Errorf("an old token")

// checkMessage checks one message of the stream.
func (j *journal) checkMessage(m jetstream.Msg, sessions []feed.Record, stored []int, keys map[string]*keyJournal) error {
	session, number := numbersOf(m)
	token, _ := strconv.ParseUint(m.Headers().Get(cluster.TokenHeader), 10, 64)
	if session < 1 || session > len(sessions) || number < 1 || token == 0 {
		return fmt.Errorf("it wasn't sent")
	}
	s := sessions[session-1]
	if s.Token != token || !strings.HasSuffix(m.Subject(), ".rx."+s.Key) {
		return fmt.Errorf("it is of %s and has token %d, but was sent to %s, that has token %d", s.Key, token, s.Member, s.Token)
	}
	if number != stored[session-1]+1 {
		return fmt.Errorf("it follows number %d", stored[session-1])
	}
	stored[session-1] = number
	k := keys[s.Key]
	if k == nil {
		k = &keyJournal{}
		keys[s.Key] = k
	}
	if token < k.token {
		return errFenced
	}
	if session < k.session {
		return fmt.Errorf("it follows one of session %d", k.session)
	}
	k.token, k.session, k.number = token, session, number
	return nil
}

// waitUntilPublished waits until all messages of sessions that are open are stored, and no member has others
// that it is to publish. What doesn't come is for check to report.
func (j *journal) waitUntilPublished() {
	j.w.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if j.nothingWaits() && j.storesAll() && j.nothingWaits() { // in the end they may wait for acknowledgements only
			return
		}
	}
}

// nothingWaits reports whether the members have published all that they know of.
func (j *journal) nothingWaits() bool {
	j.w.t.Helper()
	waiting := 0
	for _, p := range j.w.members {
		waiting += p.report().Publish.Waiting
	}
	return waiting == 0
}

// storesAll reports whether all messages of sessions that are open are in the stream.
func (j *journal) storesAll() bool {
	j.w.t.Helper()
	stored := map[int]int{} // messages of each session
	for _, m := range j.read() {
		session, number := numbersOf(m)
		stored[session] = max(stored[session], number)
	}
	for _, s := range j.w.feed.History() {
		if s.Ended.IsZero() && stored[s.ID] < s.Sent {
			return false
		}
	}
	return true
}

// numbersOf returns the session of a message and its number in the session, as the feed has sent them.
func numbersOf(m jetstream.Msg) (session, number int) {
	first, second, _ := strings.Cut(string(m.Data()), ".")
	session, _ = strconv.Atoi(first)
	number, _ = strconv.Atoi(second)
	return session, number
}

// read returns the messages of the stream. Servers that have just been started may not answer at first.
func (j *journal) read() (all []jetstream.Msg) {
	j.w.t.Helper()
	j.w.waitUntil("the stream can be read", func() bool {
		var err error
		if all, err = j.tryToRead(); err != nil {
			j.w.t.Log(err)
		}
		return err == nil
	})
	return all
}

func (j *journal) tryToRead() (all []jetstream.Msg, err error) {
	js, err := jetstream.New(j.w.conn)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience/2)
	defer cancel()
	consumer, err := js.OrderedConsumer(ctx, j.stream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, err
	}
	stream, err := js.Stream(ctx, j.stream)
	if err != nil {
		return nil, err
	}
	last := stream.CachedInfo().State.LastSeq
	if last == 0 {
		return nil, errors.New("nothing is in the stream")
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, err
		}
		all = append(all, m)
		if about, err := m.Metadata(); err != nil || about.Sequence.Stream >= last {
			return all, err
		}
	}
}
