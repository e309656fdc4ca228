//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/buffer"
)

// carrySize is how much is written at once, after which Drain is told.
const carrySize = 64 << 10

// A backlog is a goroutine that writes what the system didn't take at once. It waits
// for the peer in the runtime's poller, which knows deadlines. It exists only while the peer
// doesn't read.
type backlog struct {
	inHand int // bytes taken from the queue and not written
}

// carry starts the goroutine. The output's lock is held.
func (t *Conn) carry() error {
	o := &t.out
	if o.file == nil {
		o.file = os.NewFile(uintptr(t.fd), "websock")
	}
	if err := o.file.SetWriteDeadline(o.deadline); err != nil {
		return fmt.Errorf("websock: the system can't wait for the peer: %w", err)
	}
	o.backlog = &backlog{}
	t.fdUses.Add(1)
	go t.carryAll(o.backlog)
	return nil
}

func (t *Conn) carryAll(b *backlog) {
	for t.carryQueue(b) {
	}
	t.releaseFd()
	t.settle()
	err := t.out.failure()
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.in.broken = err
	t.in.parked.wake()
	t.call() // something may have waited for room
}

// carryQueue writes what is queued, and reports whether there may be more.
func (t *Conn) carryQueue(b *backlog) bool {
	o := &t.out
	o.mu.Lock()
	if o.queue.Len() == 0 {
		o.endBacklog()
		o.mu.Unlock()
		return false
	}
	queue := o.queue
	o.queue, b.inHand = buffer.Queue{}, queue.Len()
	o.mu.Unlock()
	for rest := queue.Bytes(); len(rest) > 0; {
		n, err := o.file.Write(rest[:min(len(rest), carrySize)])
		rest = rest[n:]
		if !o.carried(b, n, err) {
			break
		}
	}
	queue.Clear()
	return true
}

// carried notes that n bytes have left, and reports whether more can.
func (o *output) carried(b *backlog, n int, err error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	b.inHand -= n
	if err != nil {
		b.inHand = 0
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = os.ErrDeadlineExceeded
		}
		o.fail(err)
	}
	o.parked.wake()
	return o.err == nil
}

// endBacklog closes what a backlog needed, all of which has left. The lock is held.
func (o *output) endBacklog() {
	if o.ending && o.err == nil {
		o.shutdown(unix.SHUT_WR)
	}
	o.backlog = nil
	o.parked.wake()
}
