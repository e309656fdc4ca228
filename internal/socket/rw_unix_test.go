//go:build unix

package socket_test

import (
	"bytes"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"

	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/internal/socket"
	"golang.org/x/sys/unix"
)

// onFd calls f with the descriptor of conn.
func onFd(t *testing.T, conn net.Conn, f func(fd int)) {
	t.Helper()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { f(int(fd)) })
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestReadReportsNothingYetBytesAndTheEnd(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		near, far := netpair.Sockets(t, network)
		buf := make([]byte, 10)
		onFd(t, near, func(fd int) {
			if n, err := socket.Read(fd, buf); n != 0 || err != unix.EAGAIN {
				t.Errorf("%s: before anything was sent: %d, %v", network, n, err)
			}
		})
		io.WriteString(far, "hello")
		far.Close()
		near.Read(buf[:1]) // waits for it
		onFd(t, near, func(fd int) {
			if n, err := socket.Read(fd, nil); n != 0 || err != nil {
				t.Errorf("%s: into nothing: %d, %v", network, n, err)
			}
			if n, err := socket.Read(fd, buf); string(buf[:n]) != "ello" || err != nil {
				t.Errorf("%s: %q, %v", network, buf[:n], err)
			}
		})
		if n, err := near.Read(buf); n != 0 || err != io.EOF {
			t.Fatal(n, err)
		}
		onFd(t, near, func(fd int) {
			if n, err := socket.Read(fd, buf); n != 0 || err != io.EOF {
				t.Errorf("%s: at the end: %d, %v", network, n, err)
			}
		})
	}
}

func TestWriteStopsWhenTheSystemTakesNoMore(t *testing.T) {
	near, far := netpair.Sockets(t, "tcp")
	sent := make([]byte, 32<<20)
	for i := range sent {
		sent[i] = byte(i >> 8)
	}
	n := 0
	onFd(t, near, func(fd int) {
		var err error
		if n, err = socket.Write(fd, sent); n <= 0 || n == len(sent) || err != nil {
			t.Fatal(n, err)
		}
		if more, err := socket.Write(fd, sent[n:]); err != nil {
			t.Fatal(err)
		} else {
			n += more // what the peer's system has taken meanwhile
		}
	})
	got := make([]byte, n)
	if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, sent[:n]) {
		t.Errorf("the peer got other bytes: %v", err)
	}
}

func TestWriteToAClosedPeerFails(t *testing.T) {
	near, far := netpair.Sockets(t, "unix")
	far.Close()
	onFd(t, near, func(fd int) {
		if n, err := socket.Write(fd, []byte("x")); n != 0 || !isErrno(err, syscall.EPIPE) {
			t.Errorf("Write: %d, %v", n, err)
		}
		bufs := [][]byte{[]byte("x"), []byte("y")}
		if rest, err := socket.Writev(fd, bufs); len(rest) != 2 || !isErrno(err, syscall.EPIPE) {
			t.Errorf("Writev: %q, %v", rest, err)
		}
	})
}

func isErrno(err error, errno syscall.Errno) bool {
	return err != nil && err.Error() == "write: "+errno.Error()
}

func TestWritevWritesAllSlicesInOrder(t *testing.T) {
	for _, bufs := range [][][]byte{
		nil,
		{nil},
		{[]byte("one")},
		{nil, []byte("one"), {}},
		{[]byte("one"), []byte("two")},
		{[]byte("one"), nil, []byte("two"), nil},
		slices.Repeat([][]byte{[]byte("many"), nil, []byte("slices")}, 50),
	} {
		near, far := netpair.Sockets(t, "unix")
		want := bytes.Join(bufs, nil)
		onFd(t, near, func(fd int) {
			if rest, err := socket.Writev(fd, bufs); len(rest) != 0 || err != nil {
				t.Errorf("%q are left, %v", rest, err)
			}
		})
		near.Close()
		if got, err := io.ReadAll(far); !bytes.Equal(got, want) || err != nil {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
}

func TestWritevReturnsWhatIsNotWritten(t *testing.T) {
	near, far := netpair.Sockets(t, "tcp")
	bufs := make([][]byte, 40)
	for i := range bufs {
		bufs[i] = bytes.Repeat([]byte{byte(i)}, 1<<20)
	}
	want := bytes.Join(bufs, nil)
	var rest []byte
	onFd(t, near, func(fd int) {
		left, err := socket.Writev(fd, bufs)
		if rest = bytes.Join(left, nil); len(rest) == 0 || err != nil {
			t.Fatal(len(rest), err)
		}
	})
	near.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(far); err != nil || !bytes.Equal(append(got, rest...), want) {
		t.Errorf("%d bytes written and %d left are not the %d given, %v", len(got), len(rest), len(want), err)
	}
}
