//go:build !linux

package websock

import "syscall"

// choosePortLate does nothing: other systems have no such choice.
func choosePortLate(syscall.RawConn) {}
