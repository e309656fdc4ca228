package websock

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/goroutine"
	"github.com/seed004e8d11/websock/transport"
)

// A batchOf is a batchOwner that records calls of its methods.
type batchOf struct {
	batchWriter
	failed error
}

func newBatch(t transport.Conn, limits Limits) *batchOf {
	o := &batchOf{}
	o.t, o.config = t, newConnConfig(&Options{Limits: limits}, t)
	return o
}

func (o *batchOf) appendPongLocked() bool {
	ping := string(o.rare.ping.B)
	o.dropPing()
	o.put(ping)
	return true
}

func (o *batchOf) writeFailedLocked(err error) {
	o.failed = err
	o.stop()
}

func (o *batchOf) pendingDone() transport.WriteDone { return (*doneBatch)(o) }

type doneBatch batchOf

func (d *doneBatch) Wrote(err error) {
	o := (*batchOf)(d)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.finishPending(o, err)
}

// put appends a frame to the pending batch.
func (o *batchOf) put(frame string) {
	b := o.grow(len(frame))
	b.B = append(b.B, frame...)
}

// send appends a frame and commits it like a sender, and reports whether that succeeded.
func (o *batchOf) send(frame string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.put(frame)
	return o.commit(o)
}

func TestABatchIsWrittenByOneOfItsSenders(t *testing.T) {
	s := &gatedTransport{begun: make(chan struct{}, 10), free: make(chan struct{}, 10)}
	o := newBatch(s, Limits{})
	var senders sync.WaitGroup
	senders.Go(func() { o.send("a") })
	<-s.begun
	for range 3 {
		senders.Go(func() { o.send("b") })
	}
	waitUntil(func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.pending != nil && len(o.pending.B) == 3
	})
	s.free <- struct{}{}
	s.free <- struct{}{}
	senders.Wait()
	if string(s.out) != "abbb" || s.writes != 2 || o.counts.writes != 2 || o.counts.wireSent != 4 {
		t.Errorf("%q in %d writes, counted %+v", s.out, s.writes, *o.counts)
	}
}

func TestBatchesAreHeldBackDuringCorkAndInAHandler(t *testing.T) {
	for name, holdBack := range map[string]func(o *batchOf){
		"cork":    func(o *batchOf) { o.corked = true },
		"handler": func(o *batchOf) { o.handler.Store(goroutine.ID()) },
	} {
		s := &scriptTransport{}
		o := newBatch(s, Limits{SendQueue: 100})
		holdBack(o)
		for range 3 {
			o.send("ab")
		}
		o.mu.Lock()
		o.flushPending(o)
		o.mu.Unlock()
		if len(s.out) > 0 {
			t.Errorf("%s: %q was written", name, s.out)
		}
		o.mu.Lock()
		ping := buffer.Get(4)
		ping.B = append(ping.B, "pong"...)
		o.ensureRare().ping = ping
		o.flushHeldBack(o)
		o.mu.Unlock()
		if string(s.out) != "abababpong" || s.writes != 1 {
			t.Errorf("%s: %q in %d writes", name, s.out, s.writes)
		}
		if o.send(string(make([]byte, 100))); s.writes != 2 {
			t.Errorf("%s: a full batch is held back", name)
		}
	}
}

func TestUnownedBatchesAreWrittenByTheNextWriter(t *testing.T) {
	s := &gatedTransport{begun: make(chan struct{}, 10), free: make(chan struct{}, 10)}
	o := newBatch(s, Limits{})
	var sender sync.WaitGroup
	sender.Go(func() { o.send("a") })
	<-s.begun
	o.mu.Lock()
	o.put("b")
	o.flushHeldBack(o) // doesn't wait
	o.mu.Unlock()
	s.free <- struct{}{}
	s.free <- struct{}{}
	sender.Wait()
	if string(s.out) != "ab" {
		t.Errorf("%q", s.out)
	}
}

func TestAfterAFailedWriteNothingIsWritten(t *testing.T) {
	s := &scriptTransport{writeErr: errors.New("broken on purpose")}
	o := newBatch(s, Limits{})
	if o.send("a") || o.failed != s.writeErr || o.state != writerStopped {
		t.Errorf("%v, state %d", o.failed, o.state)
	}
	s.writeErr = nil
	if o.send("b") || len(s.out) > 0 || o.counts.wireSent != 1 {
		t.Errorf("%q was written, %d bytes counted", s.out, o.counts.wireSent)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.put("c")
	o.stop()
	if o.pending != nil {
		t.Error("memory of the pending batch is kept")
	}
	o.awaitIdle(o)
	o.flushHeldBack(o)
	if o.writeUnowned(o) || len(s.out) > 0 {
		t.Errorf("%q was written", s.out)
	}
}

func TestSendersWaitForQuotaOrAreRefused(t *testing.T) {
	for _, refuses := range []bool{false, true} {
		d := newQueueTransport()
		o := newBatch(d, Limits{SendQueue: 10})
		o.refuses = refuses
		o.send("0123456789")
		waited := make(chan error, 1)
		go func() {
			o.mu.Lock()
			defer o.mu.Unlock()
			waited <- o.waitForQuota(o, 5)
		}()
		if refuses {
			if err := <-waited; !isFull(err, 10) {
				t.Errorf("%v", err)
			}
			continue
		}
		d.awaitDrains(1)
		d.let(4)
		select {
		case err := <-waited:
			t.Errorf("it has not waited: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
		d.let(1)
		if err := <-waited; err != nil {
			t.Error(err)
		}
	}
}

func TestACanceledDrainChangesNothing(t *testing.T) {
	d := newQueueTransport()
	o := newBatch(d, Limits{SendQueue: 10})
	o.send("0123456789")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o.mu.Lock()
	defer o.mu.Unlock()
	d.over = ctx.Err()
	if !o.drain(ctx, o, 5) || o.failed != nil || o.state != writerIdle {
		t.Errorf("%v, state %d", o.failed, o.state)
	}
}

func TestTheTransportWritesTheRestOfABatch(t *testing.T) {
	s := newStuckTransport(t, 3)
	o := newBatch(s, Limits{})
	o.mu.Lock()
	o.put("abcdef")
	o.flushHeldBack(o) // the transport takes three bytes
	if o.state != writerBusy || o.queued() != 6 || !o.hasRoom(o, 1) || o.exceedsQueue(o.config.limits.SendQueue) != true {
		t.Errorf("state %d, %d bytes are queued", o.state, o.queued())
	}
	o.put("g")
	o.flushHeldBack(o)
	o.mu.Unlock()
	s.free <- nil
	s.free <- nil
	waitUntil(func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return bytes.Equal(s.out, []byte("abcdefg"))
	})
}
