//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package embedded

import (
	"errors"
	"fmt"
	"os"
)

// lockFile can't lock files here, so no server is started.
func lockFile(name string) (f *os.File, locked bool, err error) {
	return nil, false, fmt.Errorf("lock %s: %w", name, errors.ErrUnsupported)
}
