//go:build linux

package ring

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// opened returns a ring that is closed when the test ends, or skips the test.
func opened(t testing.TB, entries int) *Ring {
	t.Helper()
	r, err := Open(entries)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(r.Close)
	return r
}

// taking has the ring take at most counts[i] requests in the i-th call of the kernel, and none after
// the last. errno is what a call that takes none returns.
func (r *Ring) taking(errno syscall.Errno, counts ...int) {
	r.enter = func(fd, n int) syscall.Errno {
		if len(counts) == 0 {
			return errno
		}
		n = min(n, counts[0])
		counts = counts[1:]
		return enter(fd, n)
	}
}

// results returns the results of the batch that was submitted last, by their tags.
func (r *Ring) results(t testing.TB) map[uint32]Result {
	t.Helper()
	results := map[uint32]Result{}
	for res, ok := r.Next(); ok; res, ok = r.Next() {
		if _, twice := results[res.Tag]; twice {
			t.Errorf("request %d has two results", res.Tag)
		}
		results[res.Tag] = res
	}
	return results
}

// sockets returns the descriptors of two connected sockets. They are closed when the test ends,
// except those that it has closed.
func sockets(t testing.TB, network string) (a, b *descriptor) {
	t.Helper()
	const kind = unix.SOCK_STREAM | unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	var fds [2]int
	var err error
	if network == "unix" {
		fds, err = unix.Socketpair(unix.AF_UNIX, kind, 0)
	} else {
		fds, err = tcpPair(kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	a, b = &descriptor{fds[0]}, &descriptor{fds[1]}
	t.Cleanup(a.close)
	t.Cleanup(b.close)
	return a, b
}

func tcpPair(kind int) (fds [2]int, err error) {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fds, err
	}
	defer unix.Close(l)
	if err := unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return fds, err
	}
	if err := unix.Listen(l, 1); err != nil {
		return fds, err
	}
	addr, err := unix.Getsockname(l)
	if err != nil {
		return fds, err
	}
	if fds[0], err = unix.Socket(unix.AF_INET, kind, 0); err != nil {
		return fds, err
	}
	if err := unix.Connect(fds[0], addr); err != nil && err != unix.EINPROGRESS {
		return fds, err
	}
	if fds[1], _, err = unix.Accept4(l, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC); err != nil {
		return fds, err
	}
	return fds, unix.SetsockoptInt(fds[0], unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
}

// A descriptor is that of a socket until it is closed.
type descriptor struct{ fd int }

func (d *descriptor) close() {
	if d.fd >= 0 {
		unix.Close(d.fd)
	}
	d.fd = -1
}

// reset closes a TCP socket so that its peer gets ECONNRESET.
func (d *descriptor) reset(t testing.TB) {
	t.Helper()
	if err := unix.SetsockoptLinger(d.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		t.Fatal(err)
	}
	d.close()
}

// write writes all of p.
func (d *descriptor) write(t testing.TB, p []byte) {
	t.Helper()
	if n, err := unix.Write(d.fd, p); n != len(p) {
		t.Fatalf("wrote %d of %d bytes: %v", n, len(p), err)
	}
}

// shrink makes a few kilobytes fill the way from d to its peer.
func (d *descriptor) shrink(t testing.TB, peer *descriptor) {
	t.Helper()
	for _, err := range []error{
		unix.SetsockoptInt(d.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 1),
		unix.SetsockoptInt(peer.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// await waits for an event of poll(2): what a peer does over TCP may take a moment to arrive.
func (d *descriptor) await(t testing.TB, event int16) (came bool) {
	t.Helper()
	ready, err := 0, error(unix.EINTR)
	for err == unix.EINTR {
		ready, err = unix.Poll([]unix.PollFd{{Fd: int32(d.fd), Events: event}}, 20_000)
	}
	if ready == 0 || err != nil {
		t.Errorf("the event %x has not come: %v", event, err)
		return false
	}
	return true
}

// readAll reads n bytes, which are there or on their way.
func (d *descriptor) readAll(t testing.TB, n int) []byte {
	t.Helper()
	p := make([]byte, n)
	for got := 0; got < n; {
		if !d.await(t, unix.POLLIN) {
			t.FailNow()
		}
		m, err := unix.Read(d.fd, p[got:])
		if m <= 0 && err != unix.EAGAIN {
			t.Fatalf("read %d of %d bytes: %v", got, n, err)
		}
		got += max(m, 0)
	}
	return p
}
