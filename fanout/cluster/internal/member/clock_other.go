//go:build !linux

package member

// systemClock returns the Clock that there is.
func systemClock() Clock { return Monotonic() }
