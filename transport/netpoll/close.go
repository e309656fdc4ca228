//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"time"

	"golang.org/x/sys/unix"
)

// Close ends the stream at once. What is queued is lost. The error is always nil.
func (t *Conn) Close() error {
	i := &t.in
	i.mu.Lock()
	if i.state == stateClosed {
		i.mu.Unlock()
		return nil
	}
	i.state, i.push.paused = stateClosed, false
	i.dropReceivedLocked()
	if i.registration != nil {
		t.deregisterLocked()
	}
	i.changed.broadcast()
	t.scheduleLocked() // the Receiver learns of it
	i.mu.Unlock()
	t.out.close()
	t.releaseFd()
	return nil
}

// CloseWrite ends our direction of the stream after what is queued.
func (t *Conn) CloseWrite() error {
	o := &t.out
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.err != nil:
		return o.err
	case o.closeWrite:
		return nil
	}
	o.closeWrite = true
	if o.writer != nil {
		return nil // which does it
	}
	return o.shutdown(unix.SHUT_WR)
}

// Linger discards what the peer still sends, until the peer has ended the stream and what is
// queued has been sent, or d has passed; then it closes. If d has passed, the error is
// os.ErrDeadlineExceeded. With a Receiver it returns nil at once, and the rest happens later.
func (t *Conn) Linger(d time.Duration) error {
	i := &t.in
	i.mu.Lock()
	i.state, i.push.paused = max(i.state, stateLingering), false
	i.deadline = time.Now().Add(d)
	i.dropReceivedLocked()
	t.watchLocked()
	t.checkByLocked(i.deadline)
	i.changed.broadcast()
	pushes := i.push.receiver != nil
	i.mu.Unlock()
	t.finishLinger()
	if pushes {
		return nil
	}
	return i.waitClosed()
}

func (i *input) waitClosed() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	for i.state != stateClosed {
		i.changed.wait(&i.mu)
	}
	return i.lingerErr
}

// finishLinger closes a lingering connection if the peer has ended the stream, and what was queued
// has been sent or can't be sent any more.
func (t *Conn) finishLinger() {
	if t.Queued() > 0 {
		return
	}
	i := &t.in
	i.mu.Lock()
	if i.state == stateLingering {
		t.discardRestLocked()
	}
	done := i.state == stateLingering && i.readErr != nil
	i.mu.Unlock()
	if done {
		t.Close()
	}
}

// discardRestLocked reads to the end of the stream after a hang-up. If a socket is closed while the
// system still has bytes that were received, it resets the connection, and the peer loses what we have
// sent.
func (t *Conn) discardRestLocked() {
	for t.in.hungUp && t.in.readErr == nil {
		t.readRestLocked()
	}
}
