package readcount

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// WantOneEach sends message so many times over peer, waiting each time for an answer of size bytes. The
// test fails if the process makes more reads than that, but for a few. peer is a TCP connection of
// package net, and is in blocking mode afterwards. Calls of recv and recvfrom don't count as reads.
func WantOneEach(t *testing.T, peer net.Conn, message string, size, times int) {
	t.Helper()
	file, err := peer.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd, answer := int(file.Fd()), make([]byte, size+1)
	before := reads(t)
	for range times {
		if err := syscall.Sendto(fd, []byte(message), 0, nil); err != nil {
			t.Fatal(err)
		}
		if n, _, err := syscall.Recvfrom(fd, answer, 0); n != size || err != nil {
			t.Fatal(n, err)
		}
	}
	if made := reads(t) - before; made > times*11/10 {
		t.Errorf("%d reads for %d messages", made, times)
	}
}

// reads returns how many read system calls the process has made.
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
