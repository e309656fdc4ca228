//go:build linux

package epoll

import (
	"runtime"
	"testing"
)

// With one processor a loop waits in the kernel for a moment before it parks.
func TestTransportOnOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	s := suite
	s.Factory = Loops(1)
	s.Run(t)
}
