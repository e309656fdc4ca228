package goroutine

// GrowStack doubles the stack of a goroutine that has the smallest one, so that it is large enough for
// a Handler. Otherwise the runtime does so within calls of the Handler. That takes several times as long,
// because it has to adjust every call on the stack.
func GrowStack() { useStack(0) }

// useStack needs more stack than a goroutine begins with.
//
//go:noinline
func useStack(i uint8) byte {
	var room [2 << 10]byte
	return room[i]
}
