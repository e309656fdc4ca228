package websock

import (
	"testing"
	"unsafe"
)

func TestAConnIsSmall(t *testing.T) {
	const most = 144
	if size := unsafe.Sizeof(Conn{}); size > most {
		t.Errorf("a Conn takes %d bytes, want at most %d", size, most)
	}
	t.Logf("Conn %d, receiving %d, sending %d", unsafe.Sizeof(Conn{}), unsafe.Sizeof(receiveState{}), unsafe.Sizeof(batchWriter{}))
}
