package subprocess

import "syscall"

// A signal is sent to a process. Windows has none, so it ends the process.
type signal int

const (
	terminate signal = iota
	kill
)

// start starts the process in a group of its own, so that an interrupt of the console is ours alone.
func (p *process) start() error {
	p.cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
	return p.cmd.Start()
}

func (p *process) signal(signal) { p.cmd.Process.Kill() }
