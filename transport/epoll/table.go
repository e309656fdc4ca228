//go:build linux

package epoll

import (
	"fmt"
	"sync/atomic"
)

// A table finds a connection by its descriptor, as an event names it. It also keeps
// connections alive that only the kernel knows.
type table [1 << 14]atomic.Pointer[page]

// A page has the connections of a range of descriptors.
type page [1 << 10]atomic.Pointer[Conn]

// open has the connections of the process.
var open table

// maxDescriptor is the largest that a table has a place for. The kernel's own limit is
// far below, unless somebody raised it.
const maxDescriptor = len(table{})*len(page{}) - 1

// checkDescriptor returns an error for a descriptor that has no place in a table.
func checkDescriptor(fd int) error {
	if fd > maxDescriptor {
		return fmt.Errorf("websock: descriptor %d is above %d", fd, maxDescriptor)
	}
	return nil
}

// set puts a connection in its place; nil empties it.
func (t *table) set(fd int, c *Conn) {
	p := &t[fd/len(page{})]
	for p.Load() == nil {
		p.CompareAndSwap(nil, new(page))
	}
	p.Load()[fd%len(page{})].Store(c)
}

func (t *table) get(fd int) *Conn {
	p := t[fd/len(page{})].Load()
	if p == nil {
		return nil
	}
	return p[fd%len(page{})].Load()
}
