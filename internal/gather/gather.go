// Package gather has what is sent to many WebSockets written together, as far as they share HTTP/2
// connections.
package gather

import (
	"sync"

	"github.com/seed004e8d11/websock/transport/h2"
)

// Each calls send for each of items: for those of a Session one after another, so that what send sends
// to them is written together, as far as Session.Cork holds it back. Apart from that the order is that of
// items. session returns nil for an item that shares no connection.
//
// One Session at a time is corked, so what is held back does not add up. send should not wait, and not
// run code of a user.
func Each[T any](items []T, session func(T) *h2.Session, send func(T)) {
	o := orders.Get().(*order)
	defer o.release()
	for _, item := range items {
		o.add(session(item))
	}
	for _, run := range o.runs {
		sendRun(run, o.next, items, send)
	}
}

// sendRun calls send for the items of a run.
func sendRun[T any](r run, next []int32, items []T, send func(T)) {
	at := r.first
	if r.session != nil && next[at] != none {
		r.session.Cork()
		defer r.session.Flush()
	}
	for ; at != none; at = next[at] {
		send(items[at])
	}
}

// An order is that in which the items are sent: run by run.
type order struct {
	runs []run
	next []int32               // for each item the next one of its run
	last map[*h2.Session]int32 // of the items so far, for each Session
}

// A run is the items of one Session, or an item that has none.
type run struct {
	session *h2.Session
	first   int32
}

// none follows the last item of a run.
const none = -1

// add adds the next item.
func (o *order) add(s *h2.Session) {
	at := int32(len(o.next))
	o.next = append(o.next, none)
	if s == nil {
		o.runs = append(o.runs, run{nil, at})
		return
	}
	if last, ok := o.last[s]; ok {
		o.next[last] = at
	} else {
		o.runs = append(o.runs, run{s, at})
	}
	o.last[s] = at
}

// orders has memory for orders: empty ones.
var orders = sync.Pool{New: func() any { return &order{last: map[*h2.Session]int32{}} }}

// keptSessions is how many Sessions an order that is kept has memory for, as what it takes to clear a map
// depends on the most that it has had.
const keptSessions = 1000

func (o *order) release() {
	if len(o.last) > keptSessions {
		return
	}
	clear(o.runs)
	clear(o.last)
	o.runs, o.next = o.runs[:0], o.next[:0]
	orders.Put(o)
}
