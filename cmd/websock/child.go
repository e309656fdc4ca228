package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A child is this program in a process of its own. It ends when its standard input does,
// which is when we end, however that happens.
type child struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout io.Reader
}

func startChild(stderr io.Writer, args ...string) (*child, error) {
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
	return &child{cmd, stdin, stdout}, nil
}

// stop ends the child.
func (c *child) stop() {
	const limit = 5 * time.Second
	c.stdin.Close()
	kill := time.AfterFunc(limit, func() { c.cmd.Process.Kill() })
	c.cmd.Wait() // how it ends is of no interest
	kill.Stop()
}

// startServer starts an echo server and returns its URL. It is a child so that what it costs
// isn't counted as the client's.
func startServer(stderr io.Writer, flags ...string) (c *child, url string, err error) {
	c, err = startChild(stderr, append([]string{"serve", "-addr", "127.0.0.1:0", "-stdin"}, flags...)...)
	if err != nil {
		return nil, "", err
	}
	line, err := bufio.NewReader(c.stdout).ReadString('\n')
	if err != nil {
		c.stop()
		return nil, "", fmt.Errorf("the echo server did not start: %w", err)
	}
	return c, strings.TrimSpace(line), nil
}
