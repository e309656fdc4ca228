//go:build linux

package epoll

import (
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/timing"
)

const (
	// maxHeld is how many bytes of a connection are held back. To copy more would cost what it saves.
	maxHeld = 4 << 10

	// heldSize is how many bytes of all connections are held back.
	heldSize = 32 << 10

	// holdTime is for how long bytes are held back, unless a receiver takes longer.
	holdTime = timing.Instant(200 * time.Microsecond)

	// watchInterval is how often another goroutine looks whether a receiver that doesn't return keeps
	// bytes back.
	watchInterval = time.Millisecond
)

// behind is what a loop writes behind: after it has called the receivers of all connections for which
// something has arrived. It belongs to the loop's goroutine, but for the bytes of a connection, which
// are under the lock of that.
type behind struct {
	holds  bool // there are several such connections
	held   [maxEvents]held
	count  int
	memory []byte

	since    timing.Instant // when the first bytes were held back
	holdTime timing.Instant // the constant; tests change it

	batches atomic.Uint32 // number of times that the loop began to hold bytes back
	watched atomic.Bool   // watchdog is going to run
	watch   *time.Timer   // runs watchdog
	seen    uint32        // batches when watchdog last ran; its own
}

// held are the bytes of a connection.
type held struct {
	conn  atomic.Pointer[Conn] // set by the loop; nil: the bytes were needed earlier
	bytes [1][]byte            // in memory

	// When the ring has sent them, and the connection is locked:
	sent bool
	all  []byte // those that the ring has not sent stay in bytes
	err  error
}

func (b *behind) init() {
	b.memory = make([]byte, 0, heldSize)
	b.holdTime = holdTime
	b.watch = time.AfterFunc(time.Hour, b.watchdog)
	b.watch.Stop()
}

// Batches returns true.
func (c *Conn) Batches() bool { return true }

// WriteBehind is Writev for the goroutine that calls the Receiver.
func (c *Conn) WriteBehind(bufs ...[]byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.behind == 0 && c.out == nil && c.loop.behind.holdLocked(c, bufs) {
		return nil
	}
	c.writeBehindLocked()
	return c.writevLocked(bufs)
}

// holdLocked holds back bytes of c, which is locked. It returns false if that doesn't pay, or there is
// no room.
func (b *behind) holdLocked(c *Conn, bufs [][]byte) bool {
	size := 0
	for _, p := range bufs {
		size += len(p)
	}
	from := len(b.memory)
	if !b.holds || size == 0 || size > maxHeld || from+size > cap(b.memory) || b.count == len(b.held) {
		return false
	}
	for _, p := range bufs {
		b.memory = append(b.memory, p...)
	}
	if b.count == 0 {
		b.since = timing.Now()
		b.batches.Add(1)
	}
	h := &b.held[b.count]
	h.conn.Store(c)
	h.bytes[0] = b.memory[from:]
	b.count++
	c.behind = uint8(b.count)
	if !b.watched.Load() {
		b.startWatchdog()
	}
	return true
}

func (b *behind) startWatchdog() {
	if !b.watched.Swap(true) {
		b.watch.Reset(watchInterval)
	}
}

// watchdog writes what the loop holds back if a receiver doesn't return, so that the loop itself can't.
// A timer runs it in a goroutine of its own, again and again as long as the loop holds bytes back.
func (b *behind) watchdog() {
	n := b.batches.Load()
	if n != b.seen {
		b.seen = n
		b.watch.Reset(watchInterval)
		return
	}
	for i := range b.held {
		if c := b.held[i].conn.Load(); c != nil {
			c.mu.Lock()
			c.writeBehindLocked()
			c.mu.Unlock()
		}
	}
	b.watched.Store(false)
	if b.batches.Load() != n {
		b.startWatchdog()
	}
}

// isLate reports whether bytes have been held back for long.
func (b *behind) isLate() bool { return b.count > 0 && timing.Now()-b.since > b.holdTime }

// writeBehind writes what is held back.
func (l *loop) writeBehind() {
	b := &l.behind
	if l.ring != nil && b.count >= l.minBatch {
		l.sendHeld()
	}
	for i := range b.held[:b.count] {
		h := &b.held[i]
		c := h.conn.Load()
		if c == nil {
			continue
		}
		if !h.sent {
			c.mu.Lock()
		}
		switch {
		case int(c.behind) != i+1: // it was needed earlier
		case h.err != nil:
			c.behind = 0
			c.failBehindLocked(h.err)
		case h.sent && len(h.bytes[0]) == 0:
			c.behind = 0
		default:
			c.writeBehindLocked()
		}
		c.mu.Unlock()
		h.conn.Store(nil)
		h.sent, h.err = false, nil
	}
	b.count, b.memory = 0, b.memory[:0]
}

// sendHeld sends what is held back by one system call, and leaves the rest to writeBehind. The
// connections stay locked until then: nothing else may be written before the rest.
func (l *loop) sendHeld() {
	b := &l.behind
	for i := range b.held[:b.count] {
		h := &b.held[i]
		c := h.conn.Load()
		c.mu.Lock()
		needed := int(c.behind) != i+1 // earlier
		if needed {
			h.conn.Store(nil) // the connection may have another place, and be locked until writeBehind
		}
		if needed || c.has(limited) {
			c.mu.Unlock()
			continue
		}
		l.ring.Send(int(c.fd), h.bytes[0], uint32(i))
		h.sent, h.all, h.bytes[0] = true, h.bytes[0], nil // unless there is a result
	}
	err := l.ring.Submit()
	for {
		r, ok := l.ring.Next()
		if !ok {
			break
		}
		h := &b.held[r.Tag]
		h.bytes[0] = h.all[r.N:]
		if r.Errno != 0 && r.Errno != unix.EAGAIN && !isShortage(r.Errno) {
			h.err = os.NewSyscallError("write", r.Errno)
		}
	}
	l.checkRing(err)
}

// isShortage reports whether the ring could not make a request that a system call may make.
func isShortage(errno syscall.Errno) bool {
	return errno == unix.ENOBUFS || errno == unix.ENOMEM || errno == unix.EINTR
}

// checkRing closes a ring that has failed.
func (l *loop) checkRing(err error) {
	if err != nil {
		l.ring.Close()
		l.ring = nil
	}
}

// writeBehindLocked writes what the loop holds back of the connection.
func (c *Conn) writeBehindLocked() {
	if c.behind == 0 {
		return
	}
	bytes := &c.loop.behind.held[c.behind-1].bytes
	c.behind = 0
	if err := c.writevLocked(bytes[:]); err != nil {
		c.failBehindLocked(err)
	}
}

// failBehindLocked has the receiver get the error of a write of what was held back.
func (c *Conn) failBehindLocked(err error) {
	c.failQueueLocked(err)
	if c.has(pushed) {
		c.schedule()
	}
}
