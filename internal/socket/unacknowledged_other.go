//go:build !linux && !darwin

package socket

// Unacknowledged returns 0: the system can't tell how many bytes the peer's system has not
// acknowledged yet.
func Unacknowledged(fd int) int { return 0 }
