//go:build unix

package subprocess

import "syscall"

// A signal is sent to a process and all others of its group.
type signal = syscall.Signal

const (
	terminate = syscall.SIGTERM
	kill      = syscall.SIGKILL
)

// attributes are those of a process in a group of its own, so that the processes that it starts can be
// ended with it, and so that an interrupt of the terminal is ours alone.
var attributes = syscall.SysProcAttr{Setpgid: true}

func (p *process) start() error {
	p.cmd.SysProcAttr = &attributes
	return p.cmd.Start()
}

func (p *process) signal(sig signal) { syscall.Kill(-p.cmd.Process.Pid, sig) }
