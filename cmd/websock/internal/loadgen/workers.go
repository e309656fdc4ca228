package loadgen

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
	"github.com/seed004e8d11/websock/cmd/websock/internal/process"
)

// A load can be shared by worker processes. The parent starts each with flags that describe its
// part. A worker dials at once, and starts to exchange messages when its standard input has a
// line; the end of its standard input is an interrupt. On its standard output it writes updates
// as lines of JSON.

// An update is a message from a worker to its parent.
type update struct {
	Snapshot measure.Snapshot `json:"snapshot"`
	Done     string           `json:"done,omitempty"`   // a stage
	Result   *measure.Result  `json:"result,omitempty"` // the last update
}

// The stages that workers report.
const (
	stageDial     = "dial"
	stageExchange = "exchange"
)

// RunWorker runs all stages of g as a worker process.
func RunWorker(ctx context.Context, g *LoadGen, in io.Reader, out io.Writer, duration, timeout time.Duration) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	start := make(chan struct{})
	go readCommands(in, func() { close(start) }, cancel)

	r := &reporter{gen: g, out: json.NewEncoder(out)}
	defer r.reportPeriodically()()
	if err := g.Dial(ctx); err != nil {
		return err
	}
	r.report(stageDial, nil)
	select {
	case <-start:
	case <-ctx.Done():
	}
	if ctx.Err() == nil {
		g.Exchange(ctx, duration) // never fails in a LoadGen
	}
	r.report(stageExchange, nil)
	result, _ := g.Finish(ctx, timeout) // never fails either
	r.report("", &result)
	return nil
}

// readCommands calls start after the first line, and interrupt at the end of in.
func readCommands(in io.Reader, start, interrupt func()) {
	defer interrupt()
	lines := bufio.NewReader(in)
	if _, err := lines.ReadString('\n'); err != nil {
		return
	}
	start()
	io.Copy(io.Discard, lines)
}

// A reporter writes updates.
type reporter struct {
	gen *LoadGen
	mu  sync.Mutex
	out *json.Encoder
}

// report writes an update. It ignores errors: the end of standard input tells that the parent
// is gone.
func (r *reporter) report(done string, result *measure.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out.Encode(update{r.gen.Snapshot(), done, result})
}

// reportPeriodically writes snapshots until stop is called.
func (r *reporter) reportPeriodically() (stop func()) {
	quit := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(measure.SampleInterval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.report("", nil)
			case <-quit:
				return
			}
		}
	})
	return func() {
		close(quit)
		done.Wait()
	}
}

// A WorkerPool generates load in several worker processes. It is a Runner.
type WorkerPool []*worker

// A worker is a worker process as its parent sees it.
type worker struct {
	*process.Child
	done   map[string]chan struct{} // by stage; closed when it is done
	exited chan struct{}            // closed when there are no more updates

	mu       sync.Mutex
	snapshot measure.Snapshot
	result   *measure.Result // nil before the last update
	err      error           // why there are no more updates
}

// StartWorkers starts processes that open n connections together. args returns the arguments
// of the one whose first connection has that number, and that opens so many. Stop must be called
// on the pool.
func StartWorkers(stderr io.Writer, processes, n int, args func(first, connections int) []string) (WorkerPool, error) {
	var pool WorkerPool
	first := 0
	for i := range processes {
		connections := (n - first) / (processes - i)
		w, err := startWorker(stderr, args(first, connections))
		if err != nil {
			pool.Stop()
			return nil, err
		}
		pool = append(pool, w)
		first += connections
	}
	return pool, nil
}

func startWorker(stderr io.Writer, args []string) (*worker, error) {
	child, err := process.StartChild(stderr, args...)
	if err != nil {
		return nil, err
	}
	w := &worker{
		Child:  child,
		done:   map[string]chan struct{}{stageDial: make(chan struct{}), stageExchange: make(chan struct{})},
		exited: make(chan struct{}),
	}
	go w.readUpdates()
	return w, nil
}

func (w *worker) readUpdates() {
	defer close(w.exited)
	updates := json.NewDecoder(w.Stdout)
	for {
		var u update
		if err := updates.Decode(&u); err != nil {
			w.mu.Lock()
			w.err = err
			w.mu.Unlock()
			return
		}
		w.apply(u)
	}
}

func (w *worker) apply(u update) {
	w.mu.Lock()
	w.snapshot = u.Snapshot
	if u.Result != nil {
		w.result = u.Result
	}
	w.mu.Unlock()
	if done := w.done[u.Done]; done != nil {
		close(done)
	}
}

// await waits until a stage is done.
func (w *worker) await(stage string) error {
	select {
	case <-w.done[stage]:
		return nil
	case <-w.exited:
	}
	select {
	case <-w.done[stage]: // before it exited
		return nil
	default:
		return w.failure()
	}
}

// failure returns why there are no more updates.
func (w *worker) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.err
	if errors.Is(err, io.EOF) {
		err = errors.New("it ended")
	}
	return fmt.Errorf("one of the processes has not done its part: %w", err)
}

func (p WorkerPool) await(stage string) error {
	for _, w := range p {
		if err := w.await(stage); err != nil {
			return err
		}
	}
	return nil
}

// interrupt makes all workers finish early.
func (p WorkerPool) interrupt() {
	for _, w := range p {
		w.Stdin.Close()
	}
}

// Dial waits until all workers have dialed.
func (p WorkerPool) Dial(ctx context.Context) error {
	defer context.AfterFunc(ctx, p.interrupt)()
	return p.await(stageDial)
}

// Exchange starts the exchange of all workers. Their flags give the duration.
func (p WorkerPool) Exchange(ctx context.Context, _ time.Duration) error {
	defer context.AfterFunc(ctx, p.interrupt)()
	for _, w := range p {
		io.WriteString(w.Stdin, "\n") // fails after an interrupt, when it isn't needed
	}
	return p.await(stageExchange)
}

// Finish adds up the results. The workers' flags give the timeout.
func (p WorkerPool) Finish(ctx context.Context, _ time.Duration) (measure.Result, error) {
	defer context.AfterFunc(ctx, p.interrupt)()
	sum := measure.NewResult()
	for _, w := range p {
		<-w.exited
		if w.result == nil {
			return sum, w.failure()
		}
		sum.Add(*w.result)
	}
	return sum, nil
}

// Snapshot adds up the latest snapshots.
func (p WorkerPool) Snapshot() (sum measure.Snapshot) {
	for _, w := range p {
		w.mu.Lock()
		sum.Add(w.snapshot)
		w.mu.Unlock()
	}
	return sum
}

// Stop stops the workers that are still running.
func (p WorkerPool) Stop() {
	for _, w := range p {
		w.Child.Stop()
	}
}
