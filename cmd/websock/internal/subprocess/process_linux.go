package subprocess

import (
	"errors"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// A process is a child that is waited for in two steps, since its group can be signaled only before it is
// reaped: then its number may become that of another.
type process struct{ cmd *exec.Cmd }

// awaitExit waits until the process has exited.
func (p *process) awaitExit() {
	for errors.Is(unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil), syscall.EINTR) {
	}
}

// reap returns an error unless the process has exited with 0.
func (p *process) reap() error { return p.cmd.Wait() }

// init has processes end when this one is killed, and can't end them.
func init() { attributes.Pdeathsig = syscall.SIGTERM }
