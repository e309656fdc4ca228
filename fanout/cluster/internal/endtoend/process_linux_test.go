package endtoend

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A role is what a process is that a test has started: one of these.
type role struct {
	Member *memberConfig `json:",omitempty"`
	NATS   *natsConfig   `json:",omitempty"`
	Host   bool          `json:",omitempty"` // does nothing, in a network namespace of its own
}

// roleEnv is the variable of the environment that makes the test's program one.
const roleEnv = "CLUSTER_TEST_ROLE"

func TestMain(m *testing.M) {
	text := os.Getenv(roleEnv)
	if text == "" {
		os.Exit(m.Run())
	}
	if err := play(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func play(text string) error {
	var r role
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return err
	}
	switch {
	case r.NATS != nil:
		return r.NATS.run()
	case r.Member != nil:
		return r.Member.run()
	}
	fmt.Println("started")
	_, err := io.Copy(io.Discard, os.Stdin) // until the test ends
	return err
}

// A process is one that the test has started. It ends with the test, however that ends.
type process struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	stdin  io.Writer
	stdout chan string   // lines
	ended  chan struct{} // closed when it has
	err    error         // how
}

// patience is how long a test waits for something that takes a moment on a machine that isn't busy.
const patience = 2 * time.Minute

// launch starts a process, on a host or, if that is nil, where the test runs.
func launch(t *testing.T, name string, on *host, r role) *process {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	program := on.command(os.Args[0])
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, name: name, cmd: exec.Command(program[0], program[1:]...), stdout: make(chan string, 100), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), roleEnv+"="+string(text))
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if r.Host {
		p.cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNET
	}
	p.cmd.Stderr = log
	p.stdin, err = p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		log.Close()
		if t.Failed() {
			t.Logf("the log of %s ends with\n%s", name, tail(log.Name()))
		}
	})
	go func() {
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			p.stdout <- lines.Text()
		}
		close(p.stdout)
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p
}

// tail returns the last lines of a file.
func tail(name string) string {
	text, _ := os.ReadFile(name)
	lines := strings.Split(string(text), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

// read returns the next line that the process has written.
func (p *process) read() string {
	p.t.Helper()
	select {
	case line := <-p.stdout:
		return line
	case <-time.After(patience):
		p.t.Fatalf("%s says nothing", p.name)
	}
	return ""
}

// ask tells the process something and returns its answer.
func (p *process) ask(question string) string {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, question+"\n"); err != nil {
		p.t.Fatalf("%s can't be asked: %v", p.name, err)
	}
	return p.read()
}

// report asks a member for its report.
func (p *process) report() memberReport {
	p.t.Helper()
	return p.parse(p.ask(askToReport))
}

// lastWords asks a member for its report when the test has failed: it may not answer.
func (p *process) lastWords() string {
	io.WriteString(p.stdin, askToReport+"\n")
	select {
	case line := <-p.stdout:
		return line
	case <-time.After(5 * time.Second):
		return "nothing"
	}
}

func (p *process) parse(line string) (r memberReport) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		p.t.Fatalf("%s says %q: %v", p.name, line, err)
	}
	return r
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%s can't be sent %v: %v", p.name, s, err)
	}
}

// kill ends the process at once, if it hasn't ended.
func (p *process) kill() {
	p.cmd.Process.Kill() // an error says that it has ended
	for range p.stdout {
	}
	<-p.ended
}

// leave ends a member in an orderly way, and returns its last report.
func (p *process) leave() memberReport {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	r := p.parse(p.read())
	p.wait()
	return r
}

// wait waits until the process has ended, without an error.
func (p *process) wait() {
	p.t.Helper()
	select {
	case <-p.ended:
		if p.err != nil {
			p.t.Errorf("%s ended with %v", p.name, p.err)
		}
	case <-time.After(patience):
		p.t.Fatalf("%s doesn't end", p.name)
	}
}
