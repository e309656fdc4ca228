//go:build linux

package loopback

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/bench/client"
	"github.com/seed004e8d11/websock/bench/server"
)

// ErrLeftOut is the error of a contestant that can't do what a case demands.
var ErrLeftOut = errors.New("it can't do what the case demands")

// A program is a client that is controlled by lines, as others/README.md says.
//
// What it costs is read from the same clocks and counters of the kernel as for a client in Go, but by this
// process, and the messages are counted by the server or, of broadcasts, by whole rounds. A client in Go
// reads them itself, at the first message after the same time. Both leave out what is in flight at either
// end, and the difference is much less than other load makes. A contestant whose name begins with outside is
// one in Go that is run as a program, so that both ways can be compared. All are in cases of broadcasts, for
// which this process asks.
type program struct {
	cmd         *exec.Cmd
	input       io.WriteCloser
	lines       chan string // closed at the end of its output
	errors      bytes.Buffer
	certificate string // file; "": none
	late        bool   // it is compiled while it runs
	killer      *time.Timer
}

// startProgram starts a program for a task on the processor cpu, or on any if that is negative. It is
// killed after limit.
func startProgram(c Contestant, t task, cpu int, limit time.Duration) (p *program, err error) {
	p = &program{lines: make(chan string, 16), late: c.compiledLate()}
	certificate := "-"
	if t.Case.Secure {
		if p.certificate, err = writeCertificate(t.Certificate); err != nil {
			return nil, err
		}
		certificate = p.certificate
	}
	feed := "-"
	if t.Case.compresses() {
		feed = filepath.Join(filepath.Dir(c.command[0]), "feed.json")
	}
	compression := cmp.Or(t.Case.Compression, client.None)
	arguments := append(c.command[1:len(c.command):len(c.command)],
		t.url(), strconv.Itoa(t.Size), strconv.Itoa(t.Case.Window), string(compression), feed, certificate)
	p.cmd = exec.Command(c.command[0], arguments...)
	p.cmd.Env = append(os.Environ(), c.environment...)
	p.cmd.Stderr = &p.errors
	p.cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	p.cmd.WaitDelay = time.Second // for children of it that have its output
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	output, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startOn(p.cmd, cpu); err != nil {
		return nil, err
	}
	p.killer = time.AfterFunc(limit, func() { p.cmd.Process.Kill() })
	go p.read(output)
	return p, nil
}

func writeCertificate(der []byte) (name string, err error) {
	file, err := os.CreateTemp("", "websock-bench-*.pem")
	if err != nil {
		return "", err
	}
	err = pem.Encode(file, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	return file.Name(), errors.Join(err, file.Close())
}

func (p *program) read(output io.Reader) {
	defer close(p.lines)
	for lines := bufio.NewScanner(output); lines.Scan(); {
		p.lines <- lines.Text()
	}
}

func (p *program) pid() int { return p.cmd.Process.Pid }

func (p *program) signal(number unix.Signal) { p.cmd.Process.Signal(number) }

// end stops the program and waits for its end.
func (p *program) end() {
	if p.cmd.ProcessState != nil {
		return
	}
	p.input.Close()
	p.signal(unix.SIGCONT)
	const patience = 2 * time.Second
	p.killer.Reset(patience)
	for range p.lines { // until it ends
	}
	p.cmd.Wait()
	p.killer.Stop()
	if p.certificate != "" {
		os.Remove(p.certificate)
	}
}

func (p *program) play(t task) (r Result, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), t.Limit)
	defer cancel()
	switch t.Case.Kind {
	case Echo, Pipelined:
		r, err = p.echo(ctx, t)
	case Broadcast:
		r, err = p.broadcast(ctx, t)
	case Idle:
		r, err = p.idle(ctx, t)
	case Dial:
		r, err = p.dial(ctx, t)
	default:
		err = ErrLeftOut
	}
	r.Outside = true
	return r, err
}

func (p *program) echo(ctx context.Context, t task) (r Result, err error) {
	if err := p.open(ctx, t.Case.Conns); err != nil {
		return r, err
	}
	line, err := t.trigger(ctx)
	if err != nil {
		return r, err
	}
	defer line.Close()
	if t.Case.hasTurnaround() {
		if _, err := line.Turnaround(); err != nil { // starts measuring
			return r, err
		}
	}
	before, err := line.Count()
	if err != nil {
		return r, err
	}
	if err := p.begin(ctx, t); err != nil {
		return r, err
	}
	warm := before.Messages + int64(2*t.Case.Conns*t.Case.Window)
	start, err := p.after(ctx, line, t.Timing.Warmup, warm)
	if err != nil {
		return r, err
	}
	end, err := p.after(ctx, line, t.Timing.Window, start.Messages+1)
	if err != nil {
		return r, err
	}
	r.Cost = end.Since(start)
	if t.Case.hasTurnaround() {
		if r.Turnaround, err = line.Turnaround(); err != nil {
			return r, err
		}
	}
	r.Sent, err = sentSince(before, line)
	return r, err
}

// after returns what the program has spent after some time and when the server has echoed so many messages.
func (p *program) after(ctx context.Context, line *server.Trigger, d time.Duration, messages int64) (s client.Snapshot, err error) {
	const pause = 10 * time.Millisecond
	for {
		if err := p.idleFor(ctx, d); err != nil {
			return s, err
		}
		n, err := line.Count()
		if err != nil {
			return s, err
		}
		if n.Messages >= messages {
			return client.TakeSnapshot(p.pid(), n.Messages), nil
		}
		d = pause
	}
}

// idleFor waits. It is an error if the program says something.
func (p *program) idleFor(ctx context.Context, d time.Duration) error {
	select {
	case line, open := <-p.lines:
		if !open {
			return p.failure(ctx)
		}
		return fmt.Errorf("it said %q, though it wasn't asked", line)
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return p.failure(ctx)
	}
}

// broadcast measures whole rounds, from one trigger to the next.
func (p *program) broadcast(ctx context.Context, t task) (r Result, err error) {
	if err := p.open(ctx, t.Case.Conns); err != nil {
		return r, err
	}
	trigger, err := t.trigger(ctx)
	if err != nil {
		return r, err
	}
	defer trigger.Close()
	if err := p.begin(ctx, t); err != nil {
		return r, err
	}
	const warm = 2 // rounds
	began := time.Now()
	for round := int64(1); time.Since(began) < t.Timing.Warmup || round <= warm; round++ {
		if err := p.receive(ctx, trigger); err != nil {
			return r, err
		}
	}
	start := client.TakeSnapshot(p.pid(), 0)
	began = time.Now()
	for round := int64(1); ; round++ {
		if err := p.receive(ctx, trigger); err != nil {
			return r, err
		}
		if time.Since(began) >= t.Timing.Window {
			r.Cost = client.TakeSnapshot(p.pid(), round*int64(t.Case.Conns)).Since(start)
			return r, nil
		}
	}
}

// receive lets the server send a message to each connection.
func (p *program) receive(ctx context.Context, trigger *server.Trigger) error {
	if err := trigger.Pull(); err != nil {
		return err
	}
	return p.await(ctx, "received")
}

// idle does what idle does with clients in Go.
func (p *program) idle(ctx context.Context, t task) (r Result, err error) {
	before, err := p.settle(ctx, t, idleWarmup)
	if err != nil {
		return r, err
	}
	after, err := p.settle(ctx, t, t.Case.Conns)
	r.BytesPerConn = float64(after-before) / float64(t.Case.Conns)
	return r, err
}

// settle opens n connections, lets each of all receive a message, and returns the resident memory.
func (p *program) settle(ctx context.Context, t task, n int) (bytes int64, err error) {
	if err := p.open(ctx, n); err != nil {
		return 0, err
	}
	trigger, err := t.trigger(ctx)
	if err != nil {
		return 0, err
	}
	defer trigger.Close()
	if err := p.receive(ctx, trigger); err != nil {
		return 0, err
	}
	if err := p.tell(ctx, "settle", "settled"); err != nil {
		return 0, err
	}
	return resident(p.pid()), nil
}

// dial measures opening connections. A program that is compiled while it runs opens as many before: ws then
// takes a third less for each.
func (p *program) dial(ctx context.Context, t task) (r Result, err error) {
	warmup := dialWarmup
	if p.late {
		warmup += t.Case.Conns
	}
	if err := p.open(ctx, warmup); err != nil {
		return r, err
	}
	start := client.TakeSnapshot(p.pid(), 0)
	err = p.open(ctx, t.Case.Conns)
	r.Cost = client.TakeSnapshot(p.pid(), int64(t.Case.Conns)).Since(start)
	return r, err
}

func (p *program) open(ctx context.Context, n int) error {
	return p.tell(ctx, fmt.Sprintf("open %d", n), "opened")
}

// begin starts the work. If that is to be done in slices, the program stops before.
func (p *program) begin(ctx context.Context, t task) error {
	if t.Stops {
		if err := p.tell(ctx, "settle", "settled"); err != nil { // so that what opening connections has left doesn't count
			return err
		}
		p.signal(unix.SIGSTOP)
	}
	return p.tell(ctx, "start", "started")
}

// tell sends a line and waits for the answer.
func (p *program) tell(ctx context.Context, line, answer string) error {
	if _, err := fmt.Fprintln(p.input, line); err != nil {
		return p.failure(ctx)
	}
	return p.await(ctx, answer)
}

func (p *program) await(ctx context.Context, answer string) error {
	select {
	case line, open := <-p.lines:
		if !open {
			return p.failure(ctx)
		}
		if line != answer {
			return fmt.Errorf("it said %q in place of %q", line, answer)
		}
		return nil
	case <-ctx.Done():
		return p.failure(ctx)
	}
}

// failure stops the program and says why it didn't answer.
func (p *program) failure(ctx context.Context) error {
	const most = 2000
	if ctx.Err() != nil {
		p.cmd.Process.Kill()
	}
	p.end()
	said := strings.TrimSpace(p.errors.String())
	if p.cmd.ProcessState.ExitCode() == cannotCompress {
		return fmt.Errorf("%w: %s", ErrLeftOut, cmp.Or(said, "it can't compress as demanded"))
	}
	said = said[:min(len(said), most)]
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("it didn't answer: %w: %s", err, said)
	}
	return fmt.Errorf("it has ended (%s): %s", p.cmd.ProcessState, said)
}
