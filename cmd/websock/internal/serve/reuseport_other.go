//go:build !linux

package serve

import (
	"errors"
	"fmt"
	"syscall"
)

// reusePort fails: other systems don't spread connections over the sockets of a port.
func reusePort(_, _ string, _ syscall.RawConn) error {
	return fmt.Errorf("-reuseport: %w", errors.ErrUnsupported)
}
