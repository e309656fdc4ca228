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
	// updates is how many updates of a watch wait to be read.
	updates = 64

	// beginTimeout bounds the requests with which a watch begins.
	beginTimeout = 5 * time.Second

	// deletion is how long a bucket has to be gone before it is created again. A server forgets it before
	// it removes its files: who creates it meanwhile gets a bucket in which are all old keys, and
	// nothing can be read or written, for ever (nats-server 2.15.3).
	deletion = 2 * time.Second

	// quiet is how long a watch waits for messages before the mark until it asks what is the matter.
	quiet = 200 * time.Millisecond

	// listed is up to how many subjects a watch asks for all of them: the answer takes the server long.
	listed = 20_000
)

// A watch is one consumer of a bucket's stream, from the beginning to its first disorder.
type watch struct {
	bucket   *Bucket
	consumer *consumer
	updates  chan Update
	number   uint64 // of the last message, as the consumer counts them
	last     uint64 // revision that was delivered

	// What has to be delivered before the mark. How many messages are pending, which each message says,
	// is no help: for a moment the server doesn't count one that replaces another.
	marked  bool
	missing map[string]bool // subjects that there were when the watch began, and that haven't come
	floor   uint64          // the last revision that there was
	again   bool            // the subjects were too many: instead, floor is raised when it is reached
}

// Watch delivers all records, the mark, and changes. The channel is closed at once when the
// connection is lost, and within two seconds when the consumer is. A reader that is slow holds back
// its watch only, for which NATS sends no more than some hundred messages ahead. A bucket that has been
// deleted, or lost by NATS, is created again when it has been gone for two seconds, in which Watch fails. Its
// revisions begin anew.
func (b *Bucket) Watch(ctx context.Context) (<-chan Update, error) {
	ctx, release := b.untilLost(ctx) // before anything else, so that no loss is missed
	w, err := b.beginWatch(ctx)
	if err != nil {
		release()
		return nil, fmt.Errorf("store: watch: %w", err)
	}
	go func() {
		err := w.run(ctx)
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if !errors.Is(err, context.Canceled) {
			b.config.Logger.Debug("a watch has ended", "bucket", b.kv.Bucket(), "error", err)
		}
		close(w.updates)
		release()
		w.consumer.end()
	}()
	return w.updates, nil
}

func (b *Bucket) beginWatch(ctx context.Context) (*watch, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	begin, cancel := context.WithTimeout(ctx, beginTimeout)
	defer cancel()
	floor, missing, err := b.now(begin)
	if codeOf(err) == jetstream.JSErrCodeStreamNotFound && b.goneFor() >= deletion {
		b.config.Logger.Warn("the bucket is gone, and is created again", "bucket", b.config.Bucket)
		if _, err := openOnce(begin, b.js, b.config); err != nil {
			return nil, err
		}
		floor, missing, err = b.now(begin)
	}
	if err != nil {
		return nil, err
	}
	b.found()
	consumer, err := b.newConsumer(begin)
	if err != nil {
		return nil, err
	}
	return &watch{
		bucket: b, consumer: consumer, updates: make(chan Update, updates),
		missing: missing, floor: floor, again: missing == nil,
	}, nil
}

// goneFor returns how long it is known that there is no bucket.
func (b *Bucket) goneFor() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.goneSince.IsZero() {
		b.goneSince = time.Now()
	}
	return time.Since(b.goneSince)
}

// found notes that there is a bucket.
func (b *Bucket) found() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.goneSince = time.Time{}
}

// now asks the leader of the stream for the last revision and for all subjects, which are nil if they
// are too many.
func (b *Bucket) now(ctx context.Context) (last uint64, subjects map[string]bool, err error) {
	if last, err = b.lastRevision(ctx); err != nil {
		return 0, nil, err
	}
	info, err := b.stream.Info(ctx)
	if err != nil {
		return 0, nil, err
	}
	if info.State.NumSubjects > listed {
		return last, nil, nil
	}
	if info, err = b.stream.Info(ctx, jetstream.WithSubjectFilter(">")); err != nil {
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
	m, err := b.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+b.streamName(), []byte(`{"last_by_subj":">"}`))
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

// run delivers until there is an end or a disorder, whose cause it returns.
func (w *watch) run(ctx context.Context) error {
	if err := w.mark(ctx); err != nil { // there are no records
		return err
	}
	silence, silent := time.NewTimer(silenceStep), 0 // steps in which nothing has come
	defer silence.Stop()
	ask := time.NewTicker(quiet)
	defer ask.Stop()
	asked := w.number
	for {
		err := w.consumer.pull()
		if err != nil {
			return err
		}
		select {
		case m := <-w.consumer.messages:
			heard := true
			if isStatus(m) {
				heard, err = w.consumer.status(m)
			} else {
				err = w.deliver(ctx, m)
			}
			if heard { // and now, since the reader may have been slow
				silent = 0
				silence.Reset(silenceStep)
			}
		case <-silence.C:
			if silent++; silent >= silenceSteps && len(w.consumer.messages) == 0 {
				err = errSilence
			}
			silence.Reset(silenceStep)
		case <-ask.C:
			switch {
			case w.marked:
				ask.Stop()
			case w.number == asked:
				err = w.askAgain(ctx)
			}
			asked = w.number
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// deliver passes a message on, and the mark when nothing is missing.
func (w *watch) deliver(ctx context.Context, m *nats.Msg) error {
	w.consumer.pulled--
	about, err := m.Metadata()
	if err != nil {
		return err
	}
	number, revision := about.Sequence.Consumer, about.Sequence.Stream
	if number != w.number+1 || revision <= w.last {
		return fmt.Errorf("message %d with revision %d came after %d with %d", number, revision, w.number, w.last)
	}
	w.number, w.last = number, revision
	u := Update{Key: keyOf(m.Subject), Revision: revision, Deleted: isMarker(m.Header)}
	if !u.Deleted {
		u.Value = m.Data
	}
	if err := w.send(ctx, u); err != nil {
		return err
	}
	delete(w.missing, m.Subject)
	return w.mark(ctx)
}

// askAgain finds out why the mark doesn't come: the consumer is gone, or the replica that it reads
// lags behind, or something that there was in the beginning has disappeared without a trace, as
// markers do.
func (w *watch) askAgain(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, beginTimeout)
	defer cancel()
	if err := w.consumer.exists(asking); err != nil {
		return err
	}
	last, subjects, err := w.bucket.now(asking)
	if err != nil {
		return err
	}
	w.floor = min(w.floor, last)
	if subjects != nil {
		maps.DeleteFunc(w.missing, func(subject string, _ bool) bool { return !subjects[subject] })
	}
	return w.mark(ctx)
}

// mark sends the mark as soon as nothing is missing.
func (w *watch) mark(ctx context.Context) error {
	if w.marked || len(w.missing) > 0 || w.last < w.floor {
		return nil
	}
	if w.again {
		// A record that was overwritten before it was its turn has come by then.
		w.again = false
		asking, cancel := context.WithTimeout(ctx, beginTimeout)
		defer cancel()
		var err error
		if w.floor, err = w.bucket.lastRevision(asking); err != nil {
			return err
		}
		return w.mark(ctx)
	}
	w.marked = true
	return w.send(ctx, Update{})
}

func (w *watch) send(ctx context.Context, u Update) error {
	select {
	case w.updates <- u:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
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
