//go:build linux

package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// raw is what no client can do without: an epoll loop written by hand, which checks
// nothing. It takes every frame to be as long as those that it sends, sends the same
// bytes each time, and reads into the same buffer for all connections. Level-
// triggered: one read for each event, and one write for all that it brought.
type raw struct {
	*Work
	how   rawCalls
	epoll int
	frame int    // bytes of a frame received
	out   []byte // as many frames as one read can bring
	sent  int    // bytes of a frame sent
	mu    sync.Mutex
	fds   []int
}

// rawCalls says how the loop makes its system calls.
type rawCalls struct {
	wait func(epoll int, events []unix.EpollEvent) (int, error)
	io   func(trap, fd, p, n uintptr) (uintptr, uintptr, syscall.Errno)
}

const rawBuffer = 64 << 10

func newRaw(w *Work, how rawCalls) (*raw, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	r := &raw{Work: w, how: how, epoll: epoll}
	r.frame = len(appendFrame(nil, w.Payload, false))
	r.sent = len(appendFrame(nil, w.Payload, true))
	for range rawBuffer/r.frame + 1 {
		r.out = appendFrame(r.out, w.Payload, true)
	}
	return r, nil
}

// appendFrame appends a binary frame with less than 64 KiB of payload.
func appendFrame(b, payload []byte, masked bool) []byte {
	const binaryFin, mask = 0x82, 0x80
	var second byte
	if masked {
		second = mask
	}
	if len(payload) < 126 {
		b = append(b, binaryFin, second|byte(len(payload)))
	} else {
		b = binary.BigEndian.AppendUint16(append(b, binaryFin, second|126), uint16(len(payload)))
	}
	if !masked {
		return append(b, payload...)
	}
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(b, key[:]...)
	for i, x := range payload {
		b = append(b, x^key[i&3])
	}
	return b
}

func (r *raw) Dial(context.Context) error {
	fd, err := dialRaw(r.URL)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fds = append(r.fds, fd)
	return nil
}

// dialRaw does the opening handshake with a server that is trusted to answer.
func dialRaw(to string) (fd int, err error) {
	u, err := url.Parse(to)
	if err != nil {
		return 0, err
	}
	addr, err := netip.ParseAddrPort(u.Host)
	if err != nil {
		return 0, err
	}
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: addr.Addr().As4(), Port: int(addr.Port())}); err != nil {
		unix.Close(fd)
		return 0, err
	}
	if err := handshakeRaw(fd); err != nil {
		unix.Close(fd)
		return 0, err
	}
	return fd, nil
}

func handshakeRaw(fd int) error {
	const request = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	const seconds = 10
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: seconds}); err != nil {
		return err
	}
	if _, err := unix.Write(fd, []byte(request)); err != nil {
		return err
	}
	answer := make([]byte, 1024)
	for n := 0; n < 4 || string(answer[n-4:n]) != "\r\n\r\n"; {
		more, err := unix.Read(fd, answer[n:])
		if err != nil {
			return err
		}
		if more == 0 {
			return errors.New("the server ended the connection during the handshake")
		}
		n += more
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	return unix.SetNonblock(fd, true)
}

func (r *raw) Start() {
	for _, fd := range r.fds {
		if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			r.Meter.Fail(err)
		}
		if r.Window == 0 {
			continue
		}
		if _, err := unix.Write(fd, r.out[:r.Window*r.sent]); err != nil {
			r.Meter.Fail(err)
		}
	}
	go func() { r.Meter.Fail(r.loop()) }()
}

func (r *raw) loop() error {
	events := make([]unix.EpollEvent, 256)
	in := make([]byte, rawBuffer)
	last := 0
	for _, fd := range r.fds {
		last = max(last, fd)
	}
	part := make([]int32, last+1) // of a frame that isn't whole, by descriptor
	for {
		ready, err := r.how.wait(r.epoll, events)
		if err != nil {
			return err
		}
		for _, e := range events[:ready] {
			n, _, errno := r.how.io(unix.SYS_READ, uintptr(e.Fd), uintptr(unsafe.Pointer(&in[0])), uintptr(len(in)))
			if errno != 0 {
				return fmt.Errorf("read: %w", errno)
			}
			if n == 0 {
				return errors.New("the server ended a connection")
			}
			have := int(part[e.Fd]) + int(n)
			frames := have / r.frame
			part[e.Fd] = int32(have % r.frame)
			if frames == 0 {
				continue
			}
			if r.Window > 0 {
				out := r.out[:frames*r.sent]
				if n, _, errno := r.how.io(unix.SYS_WRITE, uintptr(e.Fd), uintptr(unsafe.Pointer(&out[0])), uintptr(len(out))); errno != 0 || int(n) < len(out) {
					return fmt.Errorf("wrote %d bytes of %d: %w", n, len(out), errno)
				}
			}
			r.Meter.Add(frames)
		}
	}
}
