//go:build !unix

package live

import (
	"os"

	"github.com/gdamore/tcell/v3"
)

// openTTY opens the console of the process.
func openTTY(*os.File) (tcell.Tty, error) { return tcell.NewDevTty() }

func inForeground(*os.File) bool { return true }
