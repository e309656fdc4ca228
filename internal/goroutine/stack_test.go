package goroutine

import (
	"testing"
	"unsafe"
)

func TestGrowStackMakesRoomForAHandler(t *testing.T) {
	for _, grown := range []bool{false, true} {
		moved := make(chan bool)
		go func() { moved <- stackMoves(grown) }()
		if got := <-moved; got == grown {
			t.Errorf("grown before: %v; the stack moved: %v", grown, got)
		}
	}
}

// stackMoves reports whether calls that need more than the smallest stack move the stack.
func stackMoves(grown bool) bool {
	var here byte
	if grown {
		GrowStack()
	}
	before := uintptr(unsafe.Pointer(&here))
	deep(16)
	return uintptr(unsafe.Pointer(&here)) != before
}
