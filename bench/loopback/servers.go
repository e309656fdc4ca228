//go:build linux

package loopback

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"os/exec"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/seed004e8d11/websock/bench/client"
	"github.com/seed004e8d11/websock/bench/echo"
	"github.com/seed004e8d11/websock/bench/server"
	addresses "github.com/seed004e8d11/websock/internal/loopback"
)

// An echoServer is a server that is compared, in a process of its own.
type echoServer struct {
	address string
	pid     int

	// settle frees what can be freed, and returns the number of goroutines, or NaN.
	settle func() (float64, error)
	end    func()
}

// runServer runs a case of a server.
func (l *Lab) runServer(contestant Contestant, c Case, timing Timing) (r Result, err error) {
	const patience = 10 * time.Second
	s, err := l.startEcho(contestant, timeLimit(c, timing)+patience)
	if err != nil {
		return r, err
	}
	defer s.end()
	ctx, cancel := context.WithTimeout(context.Background(), timeLimit(c, timing))
	defer cancel()
	if c.Kind == Idle {
		return s.idle(ctx, c)
	}
	return l.play(contestant, l.taskFor(s, c, timing))
}

// sharedLoad is the client of servers whose connections WebSockets share.
const sharedLoad = "websock-epoll-h2"

// taskFor returns the task of the client of a server that is compared.
func (l *Lab) taskFor(s *echoServer, c Case, timing Timing) task {
	load := "raw"
	if c.Shared > 0 {
		load = sharedLoad
	}
	t := l.task(load, c, timing)
	t.Address, t.Watch = s.address, s.pid
	return t
}

// load measures the cost of a server that is compared, and in cases that have one the turnaround.
func (t *task) load(ctx context.Context) (Result, error) {
	step, warm := 64, 2*t.Case.Conns*t.Case.Window
	if t.Case.Kind == Broadcast {
		step, warm = t.Case.Conns, 2*t.Case.Conns
	}
	meter := client.NewMeter(step, warm, t.Timing.Warmup, t.Timing.Window)
	meter.Watch(t.Watch)
	contestant, err := client.Find(t.Contestant)
	if err != nil {
		return Result{}, err
	}
	work := t.work(meter)
	if t.Case.hasTurnaround() {
		work.Turnaround = hdrhistogram.New(1, int64(time.Minute), 3)
	}
	c, err := contestant.New(work)
	if err != nil {
		return Result{}, err
	}
	if err := dialAll(ctx, c, t.Case.Conns); err != nil {
		return Result{}, err
	}
	if err := t.begin(meter, c); err != nil {
		return Result{}, err
	}
	if t.Case.Kind == Broadcast {
		if err := castUntilDone(ctx, meter, c.(client.Caster)); err != nil {
			return Result{}, err
		}
	}
	r, err := wait(ctx, meter)
	if err == nil && t.Case.hasTurnaround() {
		r.Turnaround = server.Turnaround{
			P50: time.Duration(work.Turnaround.ValueAtQuantile(50)),
			P99: time.Duration(work.Turnaround.ValueAtQuantile(99)),
		}
	}
	return r, err
}

// castUntilDone lets the server send a message to all connections whenever all have the previous one.
func castUntilDone(ctx context.Context, meter *client.Meter, c client.Caster) error {
	for {
		if err := castOnce(ctx, meter, c); err != nil {
			return err
		}
		select {
		case <-meter.Done():
			return nil
		default:
		}
	}
}

// castOnce lets the server send a message to all connections, and waits until they have it. A server may be
// a program that knows nothing of that.
func castOnce(ctx context.Context, meter *client.Meter, c client.Caster) error {
	const patience = 10 * time.Second
	if err := c.Cast(); err != nil {
		return err
	}
	select {
	case <-meter.Steps():
		return nil
	case <-meter.Done():
		_, err := meter.Cost()
		return err
	case <-time.After(patience):
		return fmt.Errorf("%w: it doesn't send a text message to all connections", ErrLeftOut)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// idle measures the memory of connections that have echoed a message or, if they share connections, were
// sent one, so that everything they allocate is included. As many connect first, and stay, as it takes for
// a heap to grow to the size at which it is collected, so that one-time allocations aren't.
func (s *echoServer) idle(ctx context.Context, c Case) (r Result, err error) {
	const warmup = 1000
	connect := s.connect
	if c.Shared > 0 {
		connect = s.connectShared(c)
	}
	first, err := connect(ctx, warmup)
	defer closeAll(first)
	if err != nil {
		return r, err
	}
	goroutines, err := s.settle()
	if err != nil {
		return r, err
	}
	before := resident(s.pid)
	second, err := connect(ctx, c.Conns)
	defer closeAll(second)
	if err != nil {
		return r, err
	}
	goroutinesNow, err := s.settle()
	if err != nil {
		return r, err
	}
	r.BytesPerConn = float64(resident(s.pid)-before) / float64(c.Conns)
	r.GoroutinesPerConn = (goroutinesNow - goroutines) / float64(c.Conns)
	return r, nil
}

// connect opens connections, on each of which the server has echoed a message.
func (s *echoServer) connect(ctx context.Context, n int) (conns []io.Closer, err error) {
	message := make([]byte, messageSize)
	for range n {
		conn, err := client.OpenRaw(ctx, s.address, message)
		if err != nil {
			return conns, err
		}
		conns = append(conns, conn)
	}
	return conns, nil
}

// connectShared returns a connect for WebSockets that share connections. They stay until the server ends.
func (s *echoServer) connectShared(of Case) func(context.Context, int) ([]io.Closer, error) {
	return func(ctx context.Context, n int) ([]io.Closer, error) {
		contestant, err := client.Find(sharedLoad)
		if err != nil {
			return nil, err
		}
		const forever = 24 * time.Hour
		meter := client.NewMeter(n, 0, 0, forever)
		meter.Begin()
		t := task{Case: of, Address: s.address, Size: messageSize}
		c, err := contestant.New(t.work(meter))
		if err != nil {
			return nil, err
		}
		if err := dialAll(ctx, c, n); err != nil {
			return nil, err
		}
		return nil, castOnce(ctx, meter, c.(client.Caster))
	}
}

func closeAll(conns []io.Closer) {
	for _, conn := range conns {
		conn.Close()
	}
}

func (l *Lab) startEcho(contestant Contestant, limit time.Duration) (*echoServer, error) {
	if contestant.command != nil {
		return contestant.start(l.serverCPU, limit)
	}
	program, name := splitProgram(contestant.Name)
	found, err := echo.Find(name)
	if err != nil {
		return nil, err
	}
	p, err := startExecutable(program, "echo", l.serverCPU, limit, found.Environment...)
	if err != nil {
		return nil, err
	}
	s := &echoServer{pid: p.cmd.Process.Pid, end: p.end}
	s.settle = func() (goroutines float64, err error) {
		err = p.ask(struct{}{}, &goroutines)
		return goroutines, err
	}
	return s, p.ask(name, &s.address)
}

// serveEcho runs a server that is compared in its process. The first task is its name, and the answer
// its address; every other task is to settle.
func serveEcho(tasks *json.Decoder, answers *json.Encoder) error {
	var name string
	if err := tasks.Decode(&name); err != nil {
		return err
	}
	contestant, err := echo.Find(name)
	if err != nil {
		return err
	}
	address, serve, err := contestant.Listen()
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() { failed <- serve() }()
	go func() { failed <- answerSettle(tasks, answers) }()
	if err := answers.Encode(address); err != nil {
		return err
	}
	return <-failed
}

func answerSettle(tasks *json.Decoder, answers *json.Encoder) error {
	for {
		if err := tasks.Decode(&struct{}{}); err != nil {
			return err
		}
		_, goroutines := occupied()
		if err := answers.Encode(goroutines); err != nil {
			return err
		}
	}
}

// start starts a program and waits until it listens.
func (c Contestant) start(cpu int, limit time.Duration) (*echoServer, error) {
	port, err := addresses.Port()
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", port)
	words := c.commandFor(port)
	var said bytes.Buffer
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stderr = &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := startOn(cmd, cpu); err != nil {
		return nil, err
	}
	killer := time.AfterFunc(limit, func() { cmd.Process.Kill() })
	s := &echoServer{address: address, pid: cmd.Process.Pid}
	s.end = func() {
		cmd.Process.Kill()
		cmd.Wait()
		killer.Stop()
	}
	s.settle = func() (float64, error) { return math.NaN(), s.awaitConstantMemory() }
	if err := awaitListener(address); err != nil {
		s.end()
		return nil, fmt.Errorf("%s: %w: %s", c.Name, err, bytes.TrimSpace(said.Bytes()))
	}
	return s, nil
}

// awaitListener waits until there is a server at the address.
func awaitListener(address string) error {
	const patience, pause = 30 * time.Second, 10 * time.Millisecond
	for began := time.Now(); ; time.Sleep(pause) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return conn.Close()
		}
		if time.Since(began) > patience {
			return err
		}
	}
}

// awaitConstantMemory waits until the memory of a program stays as it is, which can't be asked to free
// what it doesn't need.
func (s *echoServer) awaitConstantMemory() error {
	const patience, pause = 10 * time.Second, 200 * time.Millisecond
	before := resident(s.pid)
	for began := time.Now(); ; {
		time.Sleep(pause)
		now := resident(s.pid)
		switch {
		case now == 0:
			return fmt.Errorf("process %d of the server has ended", s.pid)
		case now == before, time.Since(began) > patience:
			return nil
		}
		before = now
	}
}
