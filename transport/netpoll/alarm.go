//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"container/heap"
	"os"
	"sync"
	"time"
)

// An alarm calls its Conn at a time. All alarms of the process share one timer.
type alarm struct {
	conn  *Conn
	at    time.Time
	index int // in the clock's heap, or unset
}

const unset = -1

// set makes the alarm go off no later than at; the zero time means nothing. One that
// goes off too early is harmless, and cheaper than to put it off every time a deadline
// is: Conn.due sets it again.
func (a *alarm) set(at time.Time) {
	if at.IsZero() {
		return
	}
	theClock.mu.Lock()
	defer theClock.mu.Unlock()
	switch {
	case a.index == unset:
		a.at = at
		heap.Push(&theClock.alarms, a)
	case at.Before(a.at):
		a.at = at
		heap.Fix(&theClock.alarms, a.index)
	}
	if a.index == 0 && a.at == at {
		theClock.wind()
	}
}

// stop forgets the alarm.
func (a *alarm) stop() {
	theClock.mu.Lock()
	defer theClock.mu.Unlock()
	if a.index != unset {
		heap.Remove(&theClock.alarms, a.index)
	}
}

// due does what has become due.
func (t *Conn) due() {
	i := &t.in
	i.mu.Lock()
	if i.closed {
		i.mu.Unlock()
		return
	}
	late := i.lingering && passed(i.until)
	if late {
		i.unsettled = os.ErrDeadlineExceeded
	} else {
		t.alarm.setNext(i)
	}
	i.parked.wake()
	pushed := i.push.receiver != nil && passed(i.deadline)
	i.mu.Unlock()
	switch {
	case late:
		t.Close()
	case pushed:
		go t.receive()
	}
}

// setNext sets the alarm for what isn't due yet.
func (a *alarm) setNext(i *input) {
	if i.lingering {
		a.set(i.until)
	} else if !passed(i.deadline) {
		a.set(i.deadline)
	}
}

// clock is what all alarms share.
type clock struct {
	mu     sync.Mutex
	alarms alarms // a heap
	timer  *time.Timer
}

var theClock clock

// wind sets the timer for the first alarm. The lock is held.
func (c *clock) wind() {
	d := time.Until(c.alarms[0].at)
	if c.timer == nil {
		c.timer = time.AfterFunc(d, c.ring)
	} else {
		c.timer.Reset(d)
	}
}

// ring sets off the alarms whose time has come.
func (c *clock) ring() {
	for _, t := range c.takeDue() {
		t.due()
	}
}

func (c *clock) takeDue() (due []*Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.alarms) > 0 && passed(c.alarms[0].at) {
		due = append(due, heap.Pop(&c.alarms).(*alarm).conn)
	}
	if len(c.alarms) > 0 {
		c.wind()
	}
	return due
}

// alarms are a heap.Interface, the earliest first.
type alarms []*alarm

func (a alarms) Len() int           { return len(a) }
func (a alarms) Less(i, j int) bool { return a[i].at.Before(a[j].at) }

func (a alarms) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].index, a[j].index = i, j
}

// Push adds an alarm, as heap.Push wants it.
func (a *alarms) Push(x any) {
	added := x.(*alarm)
	added.index = len(*a)
	*a = append(*a, added)
}

// Pop removes the last alarm, as heap.Pop wants it.
func (a *alarms) Pop() any {
	last := len(*a) - 1
	removed := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	removed.index = unset
	return removed
}
