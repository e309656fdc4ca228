package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// heartbeat is how often the server says that the consumer of a silent watch lives. NATS wants
	// half a second at least. A watch ends after two that didn't come.
	heartbeat = 500 * time.Millisecond

	// pull is how many messages of a watch may be under way, and how many updates wait to be read.
	pull    = 500
	updates = 64

	// beginTimeout bounds the requests with which a watch begins.
	beginTimeout = 5 * time.Second

	// forgetConsumer is when the server removes the consumer of a watch that asks for no messages any
	// more: its process is gone, or its reader doesn't read.
	forgetConsumer = time.Minute

	// endTimeout bounds the request that removes the consumer of a watch that has ended.
	endTimeout = time.Second
)

// A watch is one consumer of a bucket's stream, from the beginning to its first disorder.
type watch struct {
	bucket   *Bucket
	consumer jetstream.Consumer
	updates  chan Update
	number   uint64 // of the last message, as the consumer counts them
	last     uint64 // revision that was delivered

	// What has to be delivered before the mark; nil after it. How many messages are pending, which
	// each message says, is no help: for a moment the server doesn't count one that replaces another.
	missing map[string]bool // subjects that there were when the watch began, and that haven't come
	floor   uint64          // the last revision that there was
}

// Watch delivers all records, the mark, and changes. The channel is closed within about a second when
// the connection or the consumer is lost. A reader that is slow holds back its watch only, and NATS
// keeps at most 500 messages for it.
func (b *Bucket) Watch(ctx context.Context) (<-chan Update, error) {
	// From here on, so that no loss is missed.
	ctx, cancel := context.WithCancel(ctx)
	lost := b.nc.StatusChanged(nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	stopListening := func() {
		b.nc.RemoveStatusListener(lost)
		cancel()
	}
	w, messages, err := b.beginWatch(ctx)
	if err != nil {
		stopListening()
		return nil, fmt.Errorf("store: watch: %w", err)
	}
	go func() {
		select {
		case <-lost:
			cancel()
		case <-ctx.Done():
		}
	}()
	go func() {
		w.run(ctx, messages)
		close(w.updates)
		messages.Stop()
		stopListening()
		w.end()
	}()
	return w.updates, nil
}

func (b *Bucket) beginWatch(ctx context.Context) (*watch, jetstream.MessagesContext, error) {
	if err := b.connected(); err != nil {
		return nil, nil, err
	}
	begin, cancel := context.WithTimeout(ctx, beginTimeout)
	defer cancel()
	floor, missing, err := b.now(begin)
	if err != nil {
		return nil, nil, err
	}
	consumer, err := b.stream.CreateConsumer(begin, jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverLastPerSubjectPolicy,
		FilterSubject:     ">",
		AckPolicy:         jetstream.AckNonePolicy,
		InactiveThreshold: forgetConsumer,
		Replicas:          1,
		MemoryStorage:     true,
	})
	if err != nil {
		return nil, nil, err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(pull), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return nil, nil, err
	}
	w := &watch{bucket: b, consumer: consumer, updates: make(chan Update, updates), missing: missing, floor: floor}
	w.mark(ctx)
	return w, messages, nil
}

// now asks the leader of the stream for the last revision and for all subjects.
func (b *Bucket) now(ctx context.Context) (last uint64, subjects map[string]bool, err error) {
	if last, err = b.lastRevision(ctx); err != nil {
		return 0, nil, err
	}
	info, err := b.stream.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		return 0, nil, err
	}
	subjects = make(map[string]bool, len(info.State.Subjects))
	for subject := range info.State.Subjects {
		subjects[subject] = true
	}
	return last, subjects, nil
}

// lastRevision asks the leader of the stream for the last revision in it that still exists; 0: none.
// (The methods of package jetstream may ask a replica.)
func (b *Bucket) lastRevision(ctx context.Context) (uint64, error) {
	m, err := b.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+b.stream.CachedInfo().Config.Name, []byte(`{"last_by_subj":">"}`))
	if err != nil {
		return 0, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Seq uint64 `json:"seq"`
		} `json:"message"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return 0, err
	}
	if answer.Error != nil && answer.Error.ErrorCode != jetstream.JSErrCodeMessageNotFound {
		return 0, answer.Error
	}
	return answer.Message.Seq, nil
}

// quiet is how long a watch waits for messages before the mark until it asks what is the matter.
const quiet = 200 * time.Millisecond

// run delivers until there is an end or a disorder.
func (w *watch) run(ctx context.Context, messages jetstream.MessagesContext) {
	for {
		m, err := w.next(ctx, messages)
		switch {
		case err == nil:
			if !w.deliver(ctx, m) {
				return
			}
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			if !w.askAgain(ctx) {
				return
			}
		default:
			return
		}
	}
}

func (w *watch) next(ctx context.Context, messages jetstream.MessagesContext) (jetstream.Msg, error) {
	if w.missing != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, quiet)
		defer cancel()
	}
	return messages.Next(jetstream.NextContext(ctx))
}

// deliver passes a message on, and the mark when the consumer has caught up. It returns false if the
// watch is over.
func (w *watch) deliver(ctx context.Context, m jetstream.Msg) bool {
	about, err := m.Metadata()
	if err != nil || about.Sequence.Consumer != w.number+1 || about.Sequence.Stream <= w.last {
		return false
	}
	w.number, w.last = about.Sequence.Consumer, about.Sequence.Stream
	u := Update{Key: keyOf(m.Subject()), Revision: w.last, Deleted: isMarker(m.Headers())}
	if !u.Deleted {
		u.Value = m.Data()
	}
	if !w.send(ctx, u) {
		return false
	}
	delete(w.missing, m.Subject())
	return w.mark(ctx)
}

// askAgain finds out why the mark doesn't come: the consumer is gone, or the replica that it reads
// lags behind, or something that there was in the beginning has disappeared without a trace, as
// markers do. It returns false if the watch is over.
func (w *watch) askAgain(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, beginTimeout)
	defer cancel()
	if _, err := w.consumer.Info(ctx); err != nil {
		return false
	}
	last, subjects, err := w.bucket.now(ctx)
	if err != nil {
		return false
	}
	w.floor = min(w.floor, last)
	maps.DeleteFunc(w.missing, func(subject string, _ bool) bool { return !subjects[subject] })
	return w.mark(ctx)
}

// mark sends the mark as soon as nothing is missing. It returns false if the watch is over.
func (w *watch) mark(ctx context.Context) bool {
	if w.missing == nil || len(w.missing) > 0 || w.last < w.floor {
		return true
	}
	w.missing = nil
	return w.send(ctx, Update{})
}

func (w *watch) send(ctx context.Context, u Update) bool {
	select {
	case w.updates <- u:
		return true
	case <-ctx.Done():
		return false
	}
}

// end removes the consumer, if NATS is there.
func (w *watch) end() {
	if w.bucket.connected() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	_ = w.bucket.stream.DeleteConsumer(ctx, w.consumer.CachedInfo().Name)
}

// keyOf returns the key of a subject, which is $KV, the bucket and the key.
func keyOf(subject string) string {
	_, rest, _ := strings.Cut(subject, ".")
	_, key, _ := strings.Cut(rest, ".")
	return key
}

// isMarker reports whether a message says that its key was deleted: by a client, or by the server
// for a record or a marker whose time was over.
func isMarker(h nats.Header) bool {
	if op := h.Get("KV-Operation"); op != "" {
		return op == "DEL" || op == "PURGE"
	}
	return h.Get(jetstream.MarkerReasonHeader) != ""
}
