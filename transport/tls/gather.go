package tls

import (
	"net"
	"sync"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/transport"
)

// gatherSize is how much memory is borrowed for records at first, at most. It has room for those
// of pieceSize.
const gatherSize = 256 << 10

// late is what a wire needs once a carrier that waits for the peer could not write at once, or
// somebody had to wait for another's write.
type late struct {
	turn    *sync.Cond          // waits for a write to end; nil: nobody did
	records *buffer.Buffer      // of which the carrier writes the rest
	done    transport.WriteDone // is told when all has left; nil: nobody
}

// gather holds records back until flush. size is that of their plaintext.
func (w *wire) gather(size int) {
	const overhead = 64 // of most records; the first ones carry little more than 1 KiB each
	w.mu.Lock()
	w.gathering = true
	if w.records == nil {
		w.records = buffer.Get(min(size+size/16+overhead, gatherSize))
	}
	w.mu.Unlock()
}

// flush gives the carrier what was gathered, and returns why nothing more can be sent.
func (w *wire) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gathering = false
	w.send()
	return w.whyOver()
}

// tryFlush is flush that doesn't wait for the peer. What the carrier doesn't take at once is
// the PendingWrite.
func (w *wire) tryFlush(q transport.Queue) (transport.PendingWrite, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gathering = false
	w.trySend(q)
	if w.writing && w.err == nil {
		return (*pendingWrite)(w), nil
	}
	return nil, w.whyOver()
}

// finish is flush by whoever has ended our direction, and doesn't wait for the peer. What is
// written later, also the rest of what somebody gathers, is dropped. It reports whether all has
// left.
func (w *wire) finish() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.sendSoon()
	return !w.writing
}

// prepareClose says that the carrier is about to be closed: nothing is left to a goroutine of it
// any more.
func (w *wire) prepareClose() {
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
}

// whyOver returns why nothing more can be sent, or nil. The lock is held.
func (w *wire) whyOver() error {
	if w.err == nil && w.ended {
		return net.ErrClosed
	}
	return w.err
}

// add gathers records. The lock is held.
func (w *wire) add(records []byte) {
	if w.ended || w.err != nil {
		return
	}
	if w.records == nil {
		w.records = buffer.Get(len(records))
	}
	w.records.Grow(len(records))
	w.records.B = append(w.records.B, records...)
	w.since = uint32(min(uint64(w.since)+uint64(len(records)), 1<<32-1))
}

// send gives the carrier what was gathered, once nobody else writes. The lock is held, but not
// while writing or waiting.
func (w *wire) send() {
	for w.err == nil && (w.writing || w.records != nil) {
		if w.writing {
			w.wait()
		} else if b := w.take(); b != nil {
			b.Vec[0] = b.B
			w.mu.Unlock()
			err := w.carrier.Writev(b.Vec[:1]...)
			w.mu.Lock()
			w.wrote(b, err)
		}
	}
	w.tell()
}

// trySend is send that doesn't wait: what the carrier doesn't take at once is left to a goroutine
// of the carrier, and what gathers while somebody else writes is left to him.
func (w *wire) trySend(q transport.Queue) {
	for w.err == nil && !w.writing && w.records != nil {
		b := w.take()
		if b == nil {
			continue
		}
		w.mu.Unlock()
		rest, err := q.TryWrite(b.B)
		w.mu.Lock()
		switch {
		case err == nil && rest != nil && w.closing:
			w.wrote(b, net.ErrClosed)
		case err == nil && rest != nil:
			w.rare().records = b
			rest.Finish((*pendingWrite)(w))
		default:
			w.wrote(b, err)
		}
	}
	w.tell()
}

// sendSoon is send by who must not wait for the peer. The lock is held.
func (w *wire) sendSoon() {
	if q, ok := w.carrier.(transport.Queue); ok {
		w.trySend(q)
	} else if !w.writing { // who writes takes along what has gathered
		w.send()
	}
}

// take returns what was gathered, to be written, or nil if that is nothing.
func (w *wire) take() *buffer.Buffer {
	b := w.records
	w.records = nil
	if len(b.B) == 0 {
		b.Put()
		return nil
	}
	w.writing, w.underWay = true, uint32(len(b.B))
	return b
}

// wrote ends a write.
func (w *wire) wrote(b *buffer.Buffer, err error) {
	b.Put()
	w.writing, w.underWay = false, 0
	if w.err == nil {
		w.err = err
	}
	if w.late != nil && w.late.turn != nil {
		w.late.turn.Broadcast()
	}
}

// wait waits until somebody's write has ended.
func (w *wire) wait() {
	l := w.rare()
	if l.turn == nil {
		l.turn = sync.NewCond(&w.mu)
	}
	l.turn.Wait()
}

func (w *wire) rare() *late {
	if w.late == nil {
		w.late = &late{}
	}
	return w.late
}

// tell drops what can't be written, and tells the WriteDone that all has left or can't.
func (w *wire) tell() {
	if w.err != nil && w.records != nil {
		w.records.Put()
		w.records = nil
	}
	if w.late == nil || w.late.done == nil || w.writing {
		return
	}
	done, err := w.late.done, w.err
	w.late.done = nil
	go done.Wrote(err) // it may wait for the peer
}

// A pendingWrite is a wire whose carrier writes the rest: the PendingWrite of the Conn, and what
// the carrier tells that it is finished.
type pendingWrite wire

// Finish has done told when the carrier has written the rest.
func (p *pendingWrite) Finish(done transport.WriteDone) {
	w := (*wire)(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rare().done = done
	w.tell() // the carrier may have been fast
}

// Wrote takes the result of the carrier, and sends what has gathered meanwhile.
func (p *pendingWrite) Wrote(err error) {
	w := (*wire)(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.late.records
	w.late.records = nil
	w.wrote(b, err)
	w.send()
}
