package fanout

import (
	"testing"
	"unsafe"
)

// What a slot costs beside its connection.
func TestASlotIsSmall(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("the sizes are those of 64-bit systems")
	}
	if size := unsafe.Sizeof(Slot{}); size > 88 {
		t.Errorf("a Slot takes %d bytes", size)
	}
	if size := unsafe.Sizeof(link{}); size > 152 {
		t.Errorf("a link takes %d bytes", size)
	}
}
