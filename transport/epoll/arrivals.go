//go:build linux

package epoll

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/ring"
	"github.com/seed004e8d11/websock/internal/socket"
)

const (
	// minBatch is how many connections have to be ready for a system call to serve all of them. For
	// fewer, one for each costs less.
	minBatch = 4

	// slotSize is how much is received for a connection by such a call.
	slotSize = 4 << 10

	// slotDistance is how far apart the slots are. Were it a power of two, the beginnings of all slots
	// would share a few lines of the processor's cache.
	slotDistance = slotSize + 128

	// checkInterval is after how many arrivals a loop checks for how long it has held back what is to
	// be written. It makes the time that reading a clock takes small.
	checkInterval = 4
)

// An arrival is an event of a connection, and what was received because of it.
type arrival struct {
	conn     *Conn
	events   uint32
	received bool // view and err have what was received
	view     []byte
	err      error // unix.EAGAIN: nothing
}

// receive reads once into p.
func (a *arrival) receive(p []byte) {
	n, err := socket.RawRead(int(a.conn.fd), p)
	a.view, a.err, a.received = p[:n], err, true
	if n < slotSize && a.conn.has(bulky) {
		a.conn.state.And(^uint32(bulky))
	}
}

// arrivals are what one wait of a loop has reported.
type arrivals struct {
	all     [maxEvents]arrival
	count   int
	handled int
}

// collect waits for events, and receives what has arrived if one system call can do that for several
// connections.
func (l *loop) collect() {
	as := &l.turn.arrivals
	as.count, as.handled = 0, 0
	ready := 0
	for _, e := range l.waitEvents() {
		if e.Fd == int32(l.wakeFd) {
			l.turn.woken = true
		} else if c := connsByFD.get(int(e.Fd)); c != nil && c.loop == l {
			as.all[as.count] = arrival{conn: c, events: e.Events}
			as.count++
			if c.isReady(e.Events) {
				ready++
			}
		}
	}
	l.behind.holds = as.count >= min(l.minBatch, 2)
	if l.ring != nil && ready >= l.minBatch {
		l.receiveAll()
	}
}

// isReady reports whether the loop has to receive for the connection, and a slot is likely to be large
// enough.
func (c *Conn) isReady(events uint32) bool {
	const other = pushed | paused | finished | lingering | yielded | bulky
	return events&^unix.EPOLLOUT != 0 && c.state.Load()&other == pushed && c.in == nil && !c.ref.closed()
}

// receiveAll receives for all connections that are ready. What arrives for one that is paused or ends
// meanwhile is kept or dropped when its turn comes.
func (l *loop) receiveAll() {
	as := &l.turn.arrivals
	for i := range as.all[:as.count] {
		if a := &as.all[i]; a.conn.isReady(a.events) {
			l.ring.Recv(int(a.conn.fd), l.slot(i), uint32(i))
		}
	}
	err := l.ring.Submit()
	for {
		r, ok := l.ring.Next()
		if !ok {
			break
		}
		as.all[r.Tag].take(l.slot(int(r.Tag)), r)
	}
	l.checkRing(err)
}

// slot returns memory for what arrival i receives.
func (l *loop) slot(i int) []byte {
	return l.slots[i*slotDistance:][:slotSize]
}

// take records the result of a receive into p. If only the ring was short of something, a read follows.
func (a *arrival) take(p []byte, r ring.Result) {
	switch {
	case isShortage(r.Errno):
		return
	case r.Errno == unix.EAGAIN:
		a.err = unix.EAGAIN
	case r.Errno != 0:
		a.err = os.NewSyscallError("read", r.Errno)
	case r.N == 0:
		a.err = io.EOF
	case r.N == len(p):
		a.conn.state.Or(bulky)
	}
	a.view, a.received = p[:r.N], true
}

// handleArrivals handles the events of a wait, or those that are left of them, and then writes what
// the receivers have answered.
func (l *loop) handleArrivals() {
	as := &l.turn.arrivals
	for as.handled < as.count {
		a := &as.all[as.handled]
		as.handled++
		a.conn.handle(a)
		*a = arrival{}
		if as.handled%checkInterval == 0 && l.behind.isLate() {
			l.writeBehind()
		}
	}
	l.writeBehind()
	l.behind.holds = false
}
