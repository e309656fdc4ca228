//go:build !gc || !(amd64 || arm64) || purego

package goroutine

import "runtime"

// ID returns a number that no other goroutine has as long as the one that calls it runs. It is not 0.
func ID() uint32 {
	var trace [32]byte
	text := trace[:runtime.Stack(trace[:], false)]
	id := uint32(0)
	for _, digit := range text[len("goroutine "):] {
		if digit < '0' || digit > '9' {
			break
		}
		id = id*10 + uint32(digit-'0')
	}
	return id
}
