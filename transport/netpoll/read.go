//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/socket"
	"github.com/seed004e8d11/websock/transport"
)

const (
	// readSize is how much is read at once.
	readSize = 64 << 10

	// readAhead is how many bytes may wait for the receiver. Beyond that, the rest is left
	// with the system, and the peer has to wait.
	readAhead = 128 << 10
)

// An input is the receiving side of a Conn.
type input struct {
	view       []byte         // lent to the receiver, which alone uses it
	viewBuffer *buffer.Buffer // memory of the view; nil for early bytes

	mu           sync.Mutex // of the fields below, and of reading from the descriptor
	changed      lazyCond   // for View, Read and Linger
	state        connState
	registration *registration  // nil: the poller doesn't watch the descriptor
	received     *buffer.Buffer // bytes that come after the view; nil: none
	hungUp       bool           // the poller says that nothing more will arrive; the system may still have bytes
	readErr      error          // why nothing more can be read
	sendErr      error          // why queued bytes could not be sent; nil: it is no news
	lingerErr    error          // the result of Linger
	deadline     time.Time      // of reading, or of lingering
	checkAt      time.Time      // when the deadlineTask is run; zero: it isn't scheduled
	push         push
}

// A connState is where a Conn is in its life. It only ever increases.
type connState uint8

const (
	stateOpen      connState = iota
	stateLingering           // what arrives is discarded
	stateClosed
)

// onReadable reads what has arrived, once. The poller calls it, and must not be made to wait for
// anything but the lock; with that held, nothing waits for the poller.
func (t *Conn) onReadable(r *registration) {
	i := &t.in
	i.mu.Lock()
	switch {
	case i.registration != r: // it has ended meanwhile
		i.mu.Unlock()
		return
	case i.leavesUnreadLocked():
		t.deregisterLocked()
		i.mu.Unlock()
		return
	}
	t.readLocked()
	if i.readErr != nil {
		t.deregisterLocked()
	}
	i.changed.broadcast()
	t.scheduleLocked()
	lingering := i.state == stateLingering
	i.mu.Unlock()
	if lingering {
		t.finishLinger()
	}
}

// leavesUnreadLocked reports whether what arrives is to be left with the system: the receiver
// doesn't want it now, or is behind.
func (i *input) leavesUnreadLocked() bool {
	return i.state == stateOpen &&
		(i.push.paused || i.push.phase == pushFinished || i.received != nil && len(i.received.B) >= readAhead)
}

// readLocked reads once, and reports whether there were bytes.
func (t *Conn) readLocked() bool {
	i := &t.in
	b := buffer.Get(readSize)
	n, err := socket.Read(t.fd, b.B[:readSize])
	switch {
	case err == unix.EAGAIN:
	case err != nil:
		i.readErr = err
	case i.state == stateOpen:
		b.B = b.B[:n]
		b = i.appendLocked(b)
	}
	if b != nil {
		b.Put()
	}
	return n > 0
}

// appendLocked adds the bytes of b to those that were received. It returns b unless it has kept
// it. A few bytes are copied, so that they don't occupy a large buffer.
func (i *input) appendLocked(b *buffer.Buffer) *buffer.Buffer {
	n := len(b.B)
	switch {
	case i.received != nil:
		i.received.Grow(n)
	case n > readSize/2:
		i.received = b
		return nil
	default:
		i.received = buffer.Get(n)
	}
	i.received.B = append(i.received.B, b.B...)
	return b
}

// onHangup notes that the poller has ended the registration since nothing more will arrive. It
// returns false if the registration had ended before.
func (t *Conn) onHangup(r *registration) bool {
	i := &t.in
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.registration != r {
		return false
	}
	i.registration, i.hungUp = nil, true
	i.changed.broadcast()
	t.scheduleLocked()
	return true
}

// watchLocked has the poller watch the descriptor if there is something to wait for.
func (t *Conn) watchLocked() {
	i := &t.in
	if i.registration == nil && i.readErr == nil && !i.hungUp && i.state != stateClosed && !i.leavesUnreadLocked() {
		t.registerLocked()
	}
}

// View returns the bytes that were received, or waits for some. With a Receiver it returns
// transport.ErrWouldBlock instead of waiting. The end of the stream is io.EOF, or an error of the
// system if the connection broke.
func (t *Conn) View() ([]byte, error) {
	i := &t.in
	if len(i.view) > 0 {
		return i.view, nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for {
		switch {
		case i.state != stateOpen:
			return nil, net.ErrClosed
		case i.sendErr != nil && !i.push.paused:
			err := i.sendErr
			i.sendErr = nil
			return nil, &transport.SendError{Err: err}
		case i.push.paused, i.push.receiver != nil && passed(i.deadline):
			return nil, transport.ErrWouldBlock // even if the peer never stops sending
		case i.received != nil:
			if !i.push.mayViewLocked() {
				return nil, transport.ErrWouldBlock
			}
			i.view, i.viewBuffer, i.received = i.received.B, i.received, nil
			t.watchLocked()
			return i.view, nil
		case i.readErr != nil:
			return nil, i.readErr
		case i.hungUp:
			t.readRestLocked()
			continue
		case passed(i.deadline):
			return nil, os.ErrDeadlineExceeded
		case i.push.receiver != nil:
			return nil, transport.ErrWouldBlock
		}
		i.changed.wait(&i.mu)
	}
}

// readRestLocked reads some of what the system still has after a hang-up, or the end of the stream.
// If the system has neither, the hang-up was that of a connection whose descriptor had the same number:
// built with the race detector, netpoll looks for the operator of an event by that. Then the
// descriptor is watched again.
func (t *Conn) readRestLocked() {
	if !t.readLocked() && t.in.readErr == nil {
		t.in.hungUp = false
		t.watchLocked()
	}
}

// Consume drops n bytes of the view, and gives its memory back after the last one.
func (t *Conn) Consume(n int) {
	i := &t.in
	i.view = i.view[n:]
	if len(i.view) > 0 {
		return
	}
	i.view = nil
	if i.viewBuffer != nil {
		i.viewBuffer.Put()
		i.viewBuffer = nil
	}
}

// Read copies received bytes into p, and waits for them as View does.
func (t *Conn) Read(p []byte) (int, error) {
	view, err := t.View()
	if err != nil {
		return 0, err
	}
	n := copy(p, view)
	t.Consume(n)
	return n, nil
}

// dropReceivedLocked discards bytes that the receiver will not ask for.
func (i *input) dropReceivedLocked() {
	if i.received != nil {
		i.received.Put()
		i.received = nil
	}
}
