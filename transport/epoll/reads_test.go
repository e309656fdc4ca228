//go:build linux

package epoll

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

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
