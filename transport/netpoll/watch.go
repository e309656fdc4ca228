//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import "github.com/cloudwego/netpoll"

// A watch is a poller's looking at the descriptor. It ends when bytes have to stay with the
// system, or no more will come; a Conn may have one after another. netpoll takes operators
// back and hands them out again, so that it is the watch that tells one time from another.
type watch struct {
	conn     *Conn
	operator *netpoll.FDOperator
}

// beginWatch has the poller call when there is something to read. The input's lock is held.
func (t *Conn) beginWatch() {
	w := &watch{conn: t, operator: t.poll.Alloc()}
	w.operator.FD, w.operator.OnRead, w.operator.OnHup = t.fd, w.readable, w.hungUp
	t.in.watch = w
	if err := t.poll.Control(w.operator, netpoll.PollReadable); err != nil {
		t.endWatch()
		t.in.end = err
	}
}

// endWatch leaves what comes from now on with the system. The input's lock is held, and the
// poller may be waiting for it in a call; only when that has returned can the operator be
// given back.
func (t *Conn) endWatch() {
	w := t.in.watch
	t.in.watch = nil
	w.operator.Control(netpoll.PollDetach)
	t.fdUses.Add(1)
	ended.add(w)
}

// free gives the operator back. Until then the descriptor must not be that of another
// connection: the poller may be about to look at it, or to have it looked at no more.
func (w *watch) free() {
	w.conn.poll.Free(w.operator)
	w.conn.releaseFd()
}

// readable is called by the poller, again and again as long as there is something to read.
func (w *watch) readable(netpoll.Poll) error {
	w.conn.arrive(w)
	return nil
}

// hungUp is called, from a goroutine that may wait, when the poller has found that the peer
// has ended the stream or that it broke. The poller looks no more.
func (w *watch) hungUp(netpoll.Poll) error {
	if w.conn.leave(w) {
		w.conn.poll.Free(w.operator)
		w.conn.settle()
	}
	return nil
}
