//go:build !linux

package main

import (
	"errors"
	"fmt"
	"syscall"
)

// sharePort fails: elsewhere connections don't spread over those who share a port.
func sharePort(_, _ string, _ syscall.RawConn) error {
	return fmt.Errorf("-reuseport: %w", errors.ErrUnsupported)
}
