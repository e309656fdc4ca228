package process

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

// usedCPUTime returns the CPU time that the process has used, in user mode and in the kernel.
func usedCPUTime() time.Duration {
	process, err := syscall.GetCurrentProcess()
	if err != nil {
		return 0
	}
	var created, exited, kernel, user syscall.Filetime
	if syscall.GetProcessTimes(process, &created, &exited, &kernel, &user) != nil {
		return 0
	}
	return duration(kernel) + duration(user)
}

// duration converts an amount of time, which Windows counts in units of 100 ns.
func duration(t syscall.Filetime) time.Duration {
	return 100 * time.Duration(int64(t.HighDateTime)<<32|int64(t.LowDateTime))
}

// OpenFiles returns false: Windows has no such limit.
func OpenFiles() (int, bool) { return 0, false }

func raiseOpenFiles(int) {}

// Kernel returns the version of Windows.
func Kernel() string {
	version := windows.RtlGetVersion()
	return fmt.Sprintf("%d.%d.%d", version.MajorVersion, version.MinorVersion, version.BuildNumber)
}
