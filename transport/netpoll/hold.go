//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"reflect"

	"github.com/cloudwego/netpoll"
)

// netpoll reads whatever comes, however little of it is wanted, and offers no way to
// make it stop; a peer that sends faster than we receive would fill the memory. What
// its own poller does when a connection ends and begins, to take the descriptor off
// its list and put it there, makes it stop: both are exported methods of a Poll. But
// which Poll and under which name are fields of its connection that aren't exported.

// hold makes netpoll stop reading. The input's lock is held.
func (t *Conn) hold() {
	if !t.in.held {
		t.in.held = t.out.watch(netpoll.PollDetach)
	}
}

// release makes netpoll read again, unless there is a reason not to. The input's
// lock is held.
func (t *Conn) release() {
	if t.in.held && !t.in.push.paused {
		t.out.watch(netpoll.PollReadable)
		t.in.held = false
	}
}

// watch tells the poller to begin or to end watching, and reports whether it did.
func (o *output) watch(event netpoll.PollEvent) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.open || o.ours {
		return false
	}
	poll, operator := pollOf(o.conn)
	return poll != nil && poll.Control(operator, event) == nil
}

// pollOf returns the poller of a connection and the name it has there. They are nil
// in a version of netpoll that keeps them elsewhere.
func pollOf(conn netpoll.Connection) (netpoll.Poll, *netpoll.FDOperator) {
	operator := field[*netpoll.FDOperator](conn, "operator")
	if operator == nil || *operator == nil {
		return nil, nil
	}
	poll := field[netpoll.Poll](*operator, "poll")
	if poll == nil {
		return nil, nil
	}
	return *poll, *operator
}

// field returns a field of the struct that of points to, or nil if there is none of
// that name and type.
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
