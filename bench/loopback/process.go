//go:build linux

package loopback

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// roleVariable tells a process what it is.
const roleVariable = "WEBSOCK_BENCH_ROLE"

// roles has what a process can be, other than the one that a person starts. Each
// takes one task and gives one answer or more.
var roles = map[string]func(task *json.Decoder, answers *json.Encoder) error{
	"server": serve,
	"client": play,
}

// Main returns in the process that a person started; in the others it does what they
// are for and exits. They end when their standard input does, so that none is left
// behind.
func Main() {
	role, ok := roles[os.Getenv(roleVariable)]
	if !ok {
		return
	}
	input, lifeline := io.Pipe()
	go func() {
		io.Copy(lifeline, os.Stdin)
		os.Exit(1)
	}()
	if err := role(json.NewDecoder(input), json.NewEncoder(os.Stdout)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A process is this program again, in another role.
type process struct {
	cmd     *exec.Cmd
	input   io.WriteCloser
	tasks   *json.Encoder
	answers *json.Decoder
	errors  bytes.Buffer
	killer  *time.Timer
}

// start starts a process on the processor cpu, or on any if that is negative, that is
// killed when limit is over.
func start(role string, cpu int, limit time.Duration) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(program)}
	p.cmd.Env = append(os.Environ(), roleVariable+"="+role)
	p.cmd.Stderr = &p.errors
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	output, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.tasks = json.NewEncoder(p.input)
	p.answers = json.NewDecoder(output)
	if err := startOn(p.cmd, cpu); err != nil {
		return nil, err
	}
	p.killer = time.AfterFunc(limit, func() { p.cmd.Process.Kill() })
	return p, nil
}

// startOn starts cmd from a thread that is on that processor already, because a Go
// program counts its processors before it could change them.
func startOn(cmd *exec.Cmd, cpu int) error {
	if cpu < 0 {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	only.Set(cpu)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return err
	}
	defer unix.SchedSetaffinity(0, &before)
	return cmd.Start()
}

// ask gives the process its task and waits for the next answer.
func (p *process) ask(task, answer any) error {
	if err := p.tasks.Encode(task); err != nil {
		return p.failure(err)
	}
	if err := p.answers.Decode(answer); err != nil {
		return p.failure(err)
	}
	return nil
}

// failure ends the process and returns what it has to say about its failure.
func (p *process) failure(err error) error {
	p.end()
	const most = 2000
	said := bytes.TrimSpace(p.errors.Bytes())
	return fmt.Errorf("%w (%s): %s", err, p.cmd.ProcessState, said[:min(len(said), most)])
}

// end ends the process, if it hasn't, and waits for that.
func (p *process) end() {
	p.input.Close()
	const patience = 5 * time.Second
	p.killer.Reset(patience)
	p.cmd.Wait()
	p.killer.Stop()
}
