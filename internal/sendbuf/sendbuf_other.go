//go:build !linux && !darwin

package sendbuf

// Unacknowledged returns 0: the system can't tell.
func Unacknowledged(uintptr) int { return 0 }
