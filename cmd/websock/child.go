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

// A child is this program as an echo server, in a process of its own so that what
// it costs isn't counted as the client's. It ends when its standard input does,
// which is when we end, however that happens.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	url   string
}

func startServer(stderr io.Writer, flags ...string) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, append([]string{"serve", "-addr", "127.0.0.1:0", "-stdin"}, flags...)...)
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
	c := &child{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		c.stop()
		return nil, fmt.Errorf("the echo server did not start: %w", err)
	}
	c.url = strings.TrimSpace(line)
	return c, nil
}

// stop ends the server.
func (c *child) stop() {
	const limit = 5 * time.Second
	c.stdin.Close()
	kill := time.AfterFunc(limit, func() { c.cmd.Process.Kill() })
	c.cmd.Wait() // how it ends is of no interest
	kill.Stop()
}
