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

// roleVariable is the environment variable with the role of a process.
const roleVariable = "WEBSOCK_BENCH_ROLE"

// roles has the functions of child processes. Each reads tasks and writes answers.
var roles = map[string]func(tasks io.Reader, answers io.Writer) error{
	"server":  encoded(serve),
	"client":  encoded(play),
	"echo":    encoded(serveEcho),
	"outside": obey,
}

// encoded makes a role of a function whose tasks and answers are JSON.
func encoded(role func(tasks *json.Decoder, answers *json.Encoder) error) func(io.Reader, io.Writer) error {
	return func(tasks io.Reader, answers io.Writer) error {
		return role(json.NewDecoder(tasks), json.NewEncoder(answers))
	}
}

// Main returns in the parent process. In a child process it runs the function of its role and exits.
// Child processes exit when their standard input ends, so that none outlives its parent.
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
	if err := role(input, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A process is a child process.
type process struct {
	cmd     *exec.Cmd
	input   io.WriteCloser
	tasks   *json.Encoder
	answers *json.Decoder
	errors  bytes.Buffer
	killer  *time.Timer
}

// start starts a process on the processor cpu, or on any if that is negative. It is killed after limit.
func start(role string, cpu int, limit time.Duration) (*process, error) {
	return startExecutable("", role, cpu, limit)
}

// startExecutable is start for another build of this program, or for this one if program is empty.
func startExecutable(program, role string, cpu int, limit time.Duration, environment ...string) (_ *process, err error) {
	if program == "" {
		if program, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	p := &process{cmd: exec.Command(program)}
	p.cmd.Env = append(append(os.Environ(), environment...), roleVariable+"="+role)
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

// startOn starts cmd from a thread on that processor, because a Go program counts its processors before
// it can change them.
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

// ask sends the process a task and waits for the next answer.
func (p *process) ask(task, answer any) error {
	if err := p.tasks.Encode(task); err != nil {
		return p.failure(err)
	}
	if err := p.answers.Decode(answer); err != nil {
		return p.failure(err)
	}
	return nil
}

// failure stops the process and returns an error with its output.
func (p *process) failure(err error) error {
	p.end()
	const most = 2000
	said := bytes.TrimSpace(p.errors.Bytes())
	return fmt.Errorf("%w (%s): %s", err, p.cmd.ProcessState, said[:min(len(said), most)])
}

// end stops the process and waits for its end.
func (p *process) end() {
	p.input.Close()
	const patience = 5 * time.Second
	p.killer.Reset(patience)
	p.cmd.Wait()
	p.killer.Stop()
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) signal(number unix.Signal) { p.cmd.Process.Signal(number) }

// processors returns one for the client and, if there are two, another one for the server.
func processors() (client, server int, err error) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return 0, 0, err
	}
	client, server = -1, -1
	for cpu := range len(all) * 64 {
		if !all.IsSet(cpu) {
			continue
		}
		if client < 0 {
			client = cpu
		}
		server = cpu
	}
	return client, server, nil
}
