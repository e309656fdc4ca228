package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
)

// processes are a crew of several processes.
type processes []*process

// A process is one of them, as the one that has started it sees it: see takePart.
type process struct {
	*child
	over  map[string]chan struct{} // by stage: closed when it is over
	ended chan struct{}            // closed when nothing more is to be heard

	mu      sync.Mutex
	now     standing
	account *account // nil: it isn't at its end
	err     error
}

// startProcesses starts as many as were asked for, to open n connections together.
func (f *fanoutJob) startProcesses(n int) (processes, error) {
	var all processes
	first := 0
	for i := range f.procs {
		share := (n - first) / (f.procs - i)
		p, err := f.startProcess(first, share)
		if err != nil {
			all.stop()
			return nil, err
		}
		all = append(all, p)
		first += share
	}
	return all, nil
}

// startProcess starts one with our own flags, of which the last ones count.
func (f *fanoutJob) startProcess(first, n int) (*process, error) {
	args := append([]string{"fanout"}, f.given...)
	args = append(args, "-part", strconv.Itoa(first), "-n", strconv.Itoa(n), "-ca", f.ca,
		"-rate", strconv.FormatFloat(f.rate/float64(f.procs), 'g', -1, 64))
	for _, url := range f.urls[f.urlsGiven:] {
		args = append(args, "-url", url)
	}
	child, err := startChild(f.err, args...)
	if err != nil {
		return nil, err
	}
	p := &process{
		child: child,
		over:  map[string]chan struct{}{stageDial: make(chan struct{}), stageExchange: make(chan struct{})},
		ended: make(chan struct{}),
	}
	go p.listen()
	return p, nil
}

// listen takes notices until there are no more.
func (p *process) listen() {
	defer close(p.ended)
	notices := json.NewDecoder(p.stdout)
	for {
		var n notice
		if err := notices.Decode(&n); err != nil {
			p.mu.Lock()
			p.err = err
			p.mu.Unlock()
			return
		}
		p.hear(n)
	}
}

func (p *process) hear(n notice) {
	p.mu.Lock()
	p.now = n.Standing
	if n.Account != nil {
		p.account = n.Account
	}
	p.mu.Unlock()
	if over := p.over[n.Over]; over != nil {
		close(over)
	}
}

// await waits until a stage is over.
func (p *process) await(stage string) error {
	select {
	case <-p.over[stage]:
		return nil
	case <-p.ended:
	}
	select {
	case <-p.over[stage]: // before it ended
		return nil
	default:
		return p.lost()
	}
}

// lost returns why there is nothing more to be heard.
func (p *process) lost() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.err
	if errors.Is(err, io.EOF) {
		err = errors.New("it ended")
	}
	return fmt.Errorf("one of the processes has not done its part: %w", err)
}

func (ps processes) await(stage string) error {
	for _, p := range ps {
		if err := p.await(stage); err != nil {
			return err
		}
	}
	return nil
}

// interrupt makes all of them come to their end.
func (ps processes) interrupt() {
	for _, p := range ps {
		p.stdin.Close()
	}
}

func (ps processes) dial(ctx context.Context) error {
	defer context.AfterFunc(ctx, ps.interrupt)()
	return ps.await(stageDial)
}

// exchange lets all begin. For how long they have been told with their flags.
func (ps processes) exchange(ctx context.Context, _ time.Duration) error {
	defer context.AfterFunc(ctx, ps.interrupt)()
	for _, p := range ps {
		io.WriteString(p.stdin, "\n") // after an interrupt it goes nowhere, and isn't needed
	}
	return ps.await(stageExchange)
}

func (ps processes) finish(time.Duration) (account, error) {
	sum := emptyAccount()
	for _, p := range ps {
		<-p.ended
		if p.account == nil {
			return sum, p.lost()
		}
		sum.add(*p.account)
	}
	return sum, nil
}

func (ps processes) standing() (sum standing) {
	for _, p := range ps {
		p.mu.Lock()
		sum.add(p.now)
		p.mu.Unlock()
	}
	return sum
}

// stop ends those that have not ended.
func (ps processes) stop() {
	for _, p := range ps {
		p.child.stop()
	}
}
