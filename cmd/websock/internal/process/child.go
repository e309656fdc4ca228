package process

import (
	"io"
	"os"
	"os/exec"
	"time"
)

// A Child is another process of this program. Its commands end at the end of their standard
// input, so a child does not outlive its parent, however the parent ends.
type Child struct {
	Stdin  io.WriteCloser
	Stdout io.Reader
	cmd    *exec.Cmd
}

// StartChild runs this program with args in a child process. Stop must be called on it.
func StartChild(stderr io.Writer, args ...string) (*Child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, args...)
	cmd.Stderr = stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &Child{stdin, stdout, cmd}, nil
}

// Stop closes the child's standard input and waits until it has exited. It kills a child that
// takes too long.
func (c *Child) Stop() {
	const limit = 5 * time.Second
	c.Stdin.Close()
	kill := time.AfterFunc(limit, func() { c.cmd.Process.Kill() })
	c.cmd.Wait() // its exit code doesn't matter
	kill.Stop()
}
