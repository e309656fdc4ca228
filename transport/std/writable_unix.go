//go:build unix

package std

import (
	"sync"

	"golang.org/x/sys/unix"
)

// Writable reports whether there is room for a few hundred bytes. Of a connection without a
// descriptor it isn't known, and assumed.
func (t *Conn) Writable() bool {
	if t.raw == nil {
		return true
	}
	p := probes.Get().(*probe)
	defer probes.Put(p)
	if err := t.raw.Control(p.look); err != nil {
		return true // closed: a write says so at once
	}
	return p.writable
}

// A probe looks at a descriptor.
type probe struct {
	look     func(fd uintptr) // poll, as the syscall.RawConn wants it
	polled   []unix.PollFd
	writable bool
}

var probes = sync.Pool{New: func() any {
	p := &probe{polled: make([]unix.PollFd, 1)}
	p.look = p.poll
	return p
}}

// poll asks the system, which has room as long as a part of its buffer is free. An error of
// the connection counts as room: a write finds it without waiting.
func (p *probe) poll(fd uintptr) {
	p.polled[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLOUT}
	n, err := unix.Poll(p.polled, 0)
	p.writable = n > 0 || err != nil
}
