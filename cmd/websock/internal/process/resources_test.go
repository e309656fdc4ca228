package process

import (
	"runtime"
	"testing"
	"time"
)

func TestFitConnectionsLeavesReservedFiles(t *testing.T) {
	const many = 1 << 29 // more than the limit can be raised to
	limit, known := OpenFiles()
	if !known || limit > 1<<20 {
		t.Skip("no limit to speak of")
	}
	if got := FitConnections(many); got != limit-reservedFiles {
		t.Errorf("%d of %d", got, limit)
	}
}

func TestWhatRunsAsideIsNotCounted(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the CPU time of a thread isn't known")
	}
	const much = 200 * time.Millisecond
	useCPU := func() {
		for begin := threadCPUTime(); threadCPUTime()-begin < much; {
		}
	}
	begin := CPUTime()
	Aside(useCPU)
	beside := CPUTime() - begin
	runtime.LockOSThread()
	useCPU()
	runtime.UnlockOSThread()
	if counted := CPUTime() - begin - beside; beside < -much/2 || beside > much/2 || counted < much/2 {
		t.Errorf("%v of what runs aside is counted, and %v of what doesn't; each takes %v", beside, counted, much)
	}
}
