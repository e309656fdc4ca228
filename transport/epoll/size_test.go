//go:build linux

package epoll

import (
	"testing"
	"unsafe"
)

func TestSizeOfConn(t *testing.T) {
	if size := unsafe.Sizeof(Conn{}); size > 112 {
		t.Errorf("a Conn takes %d bytes, more than 112", size)
	}
}
