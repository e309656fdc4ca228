//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"time"

	"golang.org/x/sys/unix"
)

// Close ends the stream at once, dropping what is queued. Its error is always nil.
func (t *Conn) Close() error {
	i := &t.in
	i.mu.Lock()
	if i.closed {
		i.mu.Unlock()
		return nil
	}
	i.closed, i.over, i.push.paused = true, true, false
	i.dropNext()
	if i.watch != nil {
		t.endWatch()
	}
	i.parked.wake()
	t.call() // to be told
	i.mu.Unlock()
	t.out.close()
	t.releaseFd()
	return nil
}

// CloseWrite ends our direction, behind what is queued.
func (t *Conn) CloseWrite() error {
	o := &t.out
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.err != nil:
		return o.err
	case o.ending:
		return nil
	}
	o.ending = true
	if o.backlog != nil {
		return nil
	}
	return o.shutdown(unix.SHUT_WR)
}

// Linger discards what the peer still sends until it ends the stream and what is
// queued has left, or d has passed, and closes. The error says that d has passed
// (os.ErrDeadlineExceeded). With a Receiver it returns nil at once, and all that happens
// later.
func (t *Conn) Linger(d time.Duration) error {
	i := &t.in
	i.mu.Lock()
	i.over, i.lingering, i.push.paused = true, true, false
	i.deadline = time.Now().Add(d)
	i.dropNext()
	t.want()
	t.lookBy(i.deadline)
	i.parked.wake()
	pushed := i.push.receiver != nil
	i.mu.Unlock()
	t.settle()
	if pushed {
		return nil
	}
	return i.waitClosed()
}

func (i *input) waitClosed() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	for !i.closed {
		i.parked.wait(&i.mu)
	}
	return i.unsettled
}

// settle closes a connection that has lingered long enough: the peer has ended the
// stream, and what was queued has left or can't any more.
func (t *Conn) settle() {
	if t.Queued() > 0 {
		return
	}
	i := &t.in
	i.mu.Lock()
	settled := i.lingering && (i.complete || i.end != nil) && !i.closed
	if settled {
		t.discard()
	}
	i.mu.Unlock()
	if settled {
		t.Close()
	}
}

// discard reads what the peer has sent to the end, for a socket that is closed before makes
// the system reset the stream, and the peer lose what we have sent. The lock is held.
func (t *Conn) discard() {
	for t.in.end == nil {
		t.readRest()
	}
}
