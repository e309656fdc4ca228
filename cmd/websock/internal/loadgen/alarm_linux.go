package loadgen

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A fileAlarm is an alarm that the runtime waits for as it does for a socket. Its own timers are up to a
// millisecond late when the process is idle, since it waits for them in whole milliseconds.
type fileAlarm struct {
	file *os.File
	fd   int
}

// newSystemAlarm returns a fileAlarm, or a timerAlarm if the process may not open another file.
func newSystemAlarm() alarm {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return newTimerAlarm()
	}
	return fileAlarm{os.NewFile(uintptr(fd), "timerfd"), fd}
}

func (a fileAlarm) set(after time.Duration) {
	when := unix.ItimerSpec{Value: unix.NsecToTimespec(max(int64(after), 1))} // 0 would switch it off
	unix.TimerfdSettime(a.fd, 0, &when, nil)                                  // fails only for invalid arguments
}

func (a fileAlarm) wait() {
	var rung [8]byte
	a.file.Read(rung[:])
}

func (a fileAlarm) close() { a.file.Close() }
