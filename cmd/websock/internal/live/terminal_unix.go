//go:build unix

package live

import (
	"os"
	"runtime"

	"github.com/gdamore/tcell/v3"
	"golang.org/x/sys/unix"
)

// openTTY opens the terminal of a file once more: the file may be for writing only, and other processes
// share its flags. To open standard error by its name does that on Linux alone.
func openTTY(file *os.File) (tcell.Tty, error) {
	if file == os.Stderr && runtime.GOOS != "linux" {
		return tcell.NewDevTty()
	}
	return tcell.NewDevTtyFromDev(file.Name())
}

// inForeground reports whether the process may change the terminal: one in the background would be
// stopped. A terminal that doesn't control the process stops nothing.
func inForeground(file *os.File) bool {
	group, err := unix.IoctlGetInt(int(file.Fd()), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}
