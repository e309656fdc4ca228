//go:build linux

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/bench/rawcall"
)

// raw is the least that any client has to do: a hand-written epoll loop, which checks nothing and receives
// into the same buffer for all connections. It is level-triggered, with one receive for each event and
// one send for all messages of that. Against servers that are compared, it is the neutral client.
type raw struct {
	*Work
	wait   rawcall.Wait
	io     rawcall.IO
	frames rawFrames
	epoll  int
	mu     sync.Mutex
	fds    []int
}

func newRaw(w *Work, wait rawcall.Wait, io rawcall.IO) (*raw, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &raw{Work: w, wait: wait, io: io, frames: newRawFrames(w.Payload), epoll: epoll}, nil
}

func (r *raw) Dial(ctx context.Context) error {
	fd, err := dialRaw(ctx, r.URL)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fds = append(r.fds, fd)
	return nil
}

// dialRaw returns a descriptor that the Go runtime doesn't use.
func dialRaw(ctx context.Context, to string) (fd int, err error) {
	u, err := url.Parse(to)
	if err != nil {
		return 0, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	conn.(*net.TCPConn).SetLinger(0) // else thousands of connections would be in TIME_WAIT
	if err := rawHandshake(conn); err != nil {
		return 0, err
	}
	control, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = control.Control(func(original uintptr) {
		fd, failed = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0)
	})
	return fd, errors.Join(err, failed)
}

func (r *raw) Start() {
	for _, fd := range r.fds {
		if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			r.Meter.Fail(err)
			return
		}
		if r.Window > 0 {
			if err := r.send(int32(fd), r.Window); err != nil {
				r.Meter.Fail(err)
				return
			}
		}
	}
	go func() { r.Meter.Fail(r.loop()) }()
}

// loop receives from all connections that are ready, and then sends to them.
func (r *raw) loop() error {
	events := make([]unix.EpollEvent, rawcall.Events)
	complete := make([]int, len(events)) // by event: frames that were received
	in := make([]byte, rawBuffer)
	part := make([]int32, slices.Max(r.fds)+1) // by descriptor: size of an incomplete frame
	times := newRawTimes(r.Work, len(part))
	for {
		ready, err := r.wait(r.epoll, events)
		if err != nil {
			return err
		}
		total := 0
		for i, e := range events[:ready] {
			n, errno := r.io.Recv(e.Fd, in)
			if errno != 0 {
				return fmt.Errorf("receiving: %w", errno)
			}
			if n == 0 {
				return errRawEnd
			}
			frames, rest := r.frames.complete(int(part[e.Fd]), n)
			part[e.Fd] = int32(rest)
			complete[i] = frames
			if total += frames; frames > 0 {
				times.received(e.Fd)
			}
		}
		if r.Window > 0 {
			for i, e := range events[:ready] {
				if err := r.send(e.Fd, complete[i]); err != nil {
					return err
				}
			}
		}
		r.Meter.Add(total)
	}
}

func (r *raw) send(fd int32, frames int) error {
	if frames == 0 {
		return nil
	}
	out := r.frames.some(frames)
	n, errno := r.io.Send(fd, out)
	if errno != 0 {
		return fmt.Errorf("sending: %w", errno)
	}
	if n < len(out) {
		return fmt.Errorf("sending: %d bytes of %d", n, len(out))
	}
	return nil
}

// Cast implements Caster.
func (r *raw) Cast() error {
	frame := appendFrame(nil, r.Payload, true)
	frame[0] = 0x81 // text, in place of binary
	n, errno := r.io.Send(int32(r.fds[0]), frame)
	if errno != 0 {
		return fmt.Errorf("sending to all: %w", errno)
	}
	if n < len(frame) {
		return fmt.Errorf("sending to all: %d bytes of %d", n, len(frame))
	}
	return nil
}

// rawTimes measures the time from one message of a connection to the next, until the Meter is done.
type rawTimes struct {
	all  *hdrhistogram.Histogram // nil: nothing is measured
	done <-chan struct{}
	last []time.Time // by descriptor
}

func newRawTimes(w *Work, descriptors int) rawTimes {
	if w.Turnaround == nil {
		return rawTimes{}
	}
	return rawTimes{w.Turnaround, w.Meter.Done(), make([]time.Time, descriptors)}
}

// received records the time since the previous message, whose answer was sent at once.
func (t *rawTimes) received(fd int32) {
	if t.all == nil {
		return
	}
	select {
	case <-t.done:
		t.all = nil
		return
	default:
	}
	now := time.Now()
	if last := t.last[fd]; !last.IsZero() {
		t.all.RecordValue(int64(now.Sub(last))) // more than a minute is ignored
	}
	t.last[fd] = now
}

// OpenRaw opens a connection on which the server at address has echoed a message, and which is then
// idle. Closing it resets it.
func OpenRaw(ctx context.Context, address string, message []byte) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	conn.(*net.TCPConn).SetLinger(0) // else thousands of connections would be in TIME_WAIT
	if err := rawEcho(conn, message); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func rawEcho(conn net.Conn, message []byte) error {
	if err := rawHandshake(conn); err != nil {
		return err
	}
	conn.SetDeadline(time.Now().Add(rawPatience))
	defer conn.SetDeadline(time.Time{})
	if _, err := conn.Write(appendFrame(nil, message, true)); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, appendFrame(nil, message, false))
	return err
}
