//go:build linux && race

package epoll

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// Without the race detector, loops call recvfrom, which the system doesn't count.

// reads returns how many read calls this process has made.
func reads(t *testing.T) (n int) {
	t.Helper()
	counters, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skip("this kernel doesn't count system calls:", err)
	}
	for line := range strings.Lines(string(counters)) {
		fmt.Sscanf(line, "syscr: %d", &n)
	}
	return n
}

// wantOneReadEach exchanges messages with a connection that echoes, and fails if that makes more reads
// than messages, but for a few.
func wantOneReadEach(t *testing.T, peer net.Conn, messages int) {
	t.Helper()
	file, err := peer.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd := int(file.Fd()) // in blocking mode; recvfrom and sendto don't count as reads
	before := reads(t)
	for range messages {
		if err := syscall.Sendto(fd, []byte("Hello"), 0, nil); err != nil {
			t.Fatal(err)
		}
		if n, _, err := syscall.Recvfrom(fd, make([]byte, 10), 0); n != 5 || err != nil {
			t.Fatal(n, err)
		}
	}
	if made := reads(t) - before; made > messages*11/10 {
		t.Errorf("%d reads for %d messages", made, messages)
	}
}

func TestPushedMessageTakesOneRead(t *testing.T) {
	c, peer := attached(t, "tcp")
	s := &sink{c: c}
	s.begun = func() {
		if view, _ := c.View(); len(view) > 0 {
			c.Writev(view)
		}
	}
	if err := c.Push(s); err != nil {
		t.Fatal(err)
	}
	wantOneReadEach(t, peer, 2000)
}

func TestPulledMessageTakesOneRead(t *testing.T) {
	const messages = 2000
	c, peer := attached(t, "tcp")
	echoed := make(chan struct{})
	go func() {
		defer close(echoed)
		for range messages {
			view, _ := c.View()
			c.Writev(view)
			c.Consume(len(view))
		}
	}()
	wantOneReadEach(t, peer, messages)
	<-echoed
}
