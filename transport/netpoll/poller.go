//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"reflect"
	"sync"

	"github.com/cloudwego/netpoll"

	"github.com/seed004e8d11/websock/internal/socket"
)

// pick returns the poller that netpoll has in mind for the next connection, by its own
// balance and number of pollers. It tells nobody; but a connection that it makes has one.
// So it makes one, of a socket on which nothing can come, and closes it again. The poller
// is nil in a version of netpoll that keeps it elsewhere.
func pick() (netpoll.Poll, error) {
	fd, err := socket.OpenUnbound()
	if err != nil {
		return nil, err
	}
	probe, err := netpoll.NewFDConnection(fd)
	if err != nil {
		return nil, err // netpoll has closed the descriptor
	}
	defer probe.Close()
	return pollOf(probe), nil
}

// pollOf returns the poller of a connection.
func pollOf(conn netpoll.Connection) netpoll.Poll {
	operator := field[*netpoll.FDOperator](conn, "operator")
	if operator == nil || *operator == nil {
		return nil
	}
	poll := field[netpoll.Poll](*operator, "poll")
	if poll == nil {
		return nil
	}
	return *poll
}

// field returns a field of the struct that of points to, exported or not, or nil if there
// is none of that name and type.
func field[T any](of any, name string) *T {
	v := reflect.ValueOf(of).Elem()
	if v.Kind() != reflect.Struct {
		return nil
	}
	f := v.FieldByName(name)
	if !f.IsValid() || f.Type() != reflect.TypeFor[T]() {
		return nil
	}
	return (*T)(f.Addr().UnsafePointer())
}

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

// A freer gives operators back to their pollers, which may have to be waited for, in one
// goroutine that exists only while there are some.
type freer struct {
	mu      sync.Mutex
	watches []*watch
	running bool
}

// ended gives back the operators of all watches that have ended.
var ended freer

func (f *freer) add(w *watch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watches = append(f.watches, w)
	if !f.running {
		f.running = true
		go f.run()
	}
}

func (f *freer) run() {
	for watches := f.take(); len(watches) > 0; watches = f.take() {
		for _, w := range watches {
			w.free()
		}
	}
}

// take returns the watches that were added, or ends the goroutine if there are none.
func (f *freer) take() []*watch {
	f.mu.Lock()
	defer f.mu.Unlock()
	watches := f.watches
	f.watches = nil
	f.running = len(watches) > 0
	return watches
}
