//go:build !linux

package subprocess

import "os/exec"

// A process is a child.
type process struct {
	cmd *exec.Cmd
	err error
}

// awaitExit waits until the process has exited.
func (p *process) awaitExit() { p.err = p.cmd.Wait() }

// reap returns an error unless the process has exited with 0.
func (p *process) reap() error { return p.err }
