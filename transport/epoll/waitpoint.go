//go:build linux

package epoll

import (
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// expired is a deadline that has passed.
var expired = time.Unix(1, 0)

// A waitPoint lets a goroutine wait for a descriptor that the runtime's poller doesn't know: it puts the
// descriptor into an epoll of its own, which the runtime's poller knows. One goroutine at a time uses it.
type waitPoint struct {
	pollable
	attempt func(uintptr) bool // for raw

	// Of the call of until under way.
	fd     int
	wanted uint32
	call   func() error
	tried  bool // the call was made
	err    error

	armed   uint32      // the events that end a wait; 0: fd isn't in the epoll
	limited atomic.Bool // a deadline may be set
}

func newWaitPoint() (*waitPoint, error) {
	p, err := newPollable()
	if err != nil {
		return nil, err
	}
	w := &waitPoint{pollable: p}
	w.attempt = func(uintptr) bool {
		if !w.tried || w.armed == w.wanted {
			w.tried = true
			if w.err = w.call(); w.err != unix.EAGAIN {
				return true
			}
		}
		w.err = w.arm() // an event that has come before is reported now
		return w.err != nil
	}
	return w, nil
}

// until makes a call, and again after each event, as long as its error is unix.EAGAIN. It ends when the
// deadline passes.
func (w *waitPoint) until(fd int, event uint32, call func() error) error {
	w.tried = false
	if !w.limited.Load() { // there is no deadline that may have passed
		if err := call(); err != unix.EAGAIN {
			return err
		}
		w.tried = true
	}
	w.fd, w.wanted, w.call = fd, event, call
	err := w.raw.Read(w.attempt)
	w.call = nil
	if err != nil {
		return err
	}
	return w.err
}

// arm has the wanted event end the wait.
func (w *waitPoint) arm() error {
	if w.armed == w.wanted {
		return nil
	}
	op := unix.EPOLL_CTL_MOD
	if w.armed == 0 {
		op = unix.EPOLL_CTL_ADD
	}
	if err := unix.EpollCtl(w.epfd, op, w.fd, &unix.EpollEvent{Events: w.wanted, Fd: int32(w.fd)}); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	w.armed = w.wanted
	return nil
}

// setDeadline sets the time at which until stops waiting. It may be called from any goroutine.
func (w *waitPoint) setDeadline(t time.Time) error {
	if !w.limited.Load() && t.IsZero() {
		return nil
	}
	w.limited.Store(true)
	return w.file.SetReadDeadline(t)
}

// forget ends the use of the descriptor.
func (w *waitPoint) forget() {
	if w.armed != 0 {
		unix.EpollCtl(w.epfd, unix.EPOLL_CTL_DEL, w.fd, nil)
		w.armed = 0
	}
	w.setDeadline(time.Time{})
	w.limited.Store(false)
}

// maxWaitPoints is how many waitPoints a loopGroup keeps for the dials to come. Each has a descriptor.
const maxWaitPoints = 32

// acquireWaitPoint returns a waitPoint for a connection that was acquired.
func (g *loopGroup) acquireWaitPoint() (*waitPoint, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.waitPoints); n > 0 {
		w := g.waitPoints[n-1]
		g.waitPoints = g.waitPoints[:n-1]
		return w, nil
	}
	return newWaitPoint()
}

// releaseWaitPoint takes a waitPoint back, before its connection is released.
func (g *loopGroup) releaseWaitPoint(w *waitPoint) {
	w.forget()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waitPoints) == maxWaitPoints {
		w.close()
		return
	}
	g.waitPoints = append(g.waitPoints, w)
}

// closeWaitPointsLocked closes all that wait for dials to come.
func (g *loopGroup) closeWaitPointsLocked() {
	for _, w := range g.waitPoints {
		w.close()
	}
	g.waitPoints = nil
}
