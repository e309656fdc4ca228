//go:build linux

package ring_test

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/ring"
)

// Some sockets are read by one system call, or by one each where rings can't be used.
func Example() {
	var sockets [3]int
	for i := range sockets {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer unix.Close(pair[0])
		defer unix.Close(pair[1])
		sockets[i] = pair[0]
		unix.Write(pair[1], fmt.Appendf(nil, "message %d", i))
	}

	var buffers [len(sockets)][100]byte
	if r, err := ring.Open(len(sockets)); err == nil {
		defer r.Close()
		for i, fd := range sockets {
			r.Recv(fd, buffers[i][:], uint32(i))
		}
		r.Submit() // an error would not mean that a request was not made
		for res, ok := r.Next(); ok; res, ok = r.Next() {
			fmt.Printf("socket %d: %q\n", res.Tag, buffers[res.Tag][:res.N])
		}
	} else {
		for i, fd := range sockets {
			n, _ := unix.Read(fd, buffers[i][:])
			fmt.Printf("socket %d: %q\n", i, buffers[i][:n])
		}
	}
	// Unordered output:
	// socket 0: "message 0"
	// socket 1: "message 1"
	// socket 2: "message 2"
}
