//go:build !linux

package socket

import "syscall"

// choosePortLate does nothing: other systems have no such option.
func choosePortLate(syscall.RawConn) {}
