//go:build linux

package client

import (
	"sync"
	"sync/atomic"
	"time"
)

// A Meter counts messages and measures the cost of receiving them, for some time after a warm-up. It
// reads the clock whenever a step is complete, in the goroutine that completes it. A goroutine of its
// own might not be scheduled in time.
type Meter struct {
	step    int64
	warm    int64 // messages of the warm-up
	warmup  time.Duration
	window  time.Duration
	pid     int // of the process whose cost is measured
	steps   chan struct{}
	done    chan struct{}
	total   atomic.Int64
	next    atomic.Int64 // the total that completes the current step
	mu      sync.Mutex   // guards the rest
	began   time.Time
	started bool
	start   Snapshot
	end     Snapshot
	err     error
	ended   bool
}

// NewMeter returns a Meter that warms up for at least warmup and warm messages, and then measures for at
// least window, in whole steps of step messages.
func NewMeter(step, warm int, warmup, window time.Duration) *Meter {
	m := &Meter{
		step:   int64(step),
		warm:   int64(warm),
		warmup: warmup,
		window: window,
		steps:  make(chan struct{}, 1),
		done:   make(chan struct{}),
	}
	m.next.Store(m.step)
	return m
}

// Watch makes m measure the cost of another process. It is called before Begin.
func (m *Meter) Watch(pid int) { m.pid = pid }

// Begin starts the warm-up.
func (m *Meter) Begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.began = time.Now()
}

// Add counts n messages received.
func (m *Meter) Add(n int) {
	if total := m.total.Add(int64(n)); total >= m.next.Load() {
		m.complete(total)
	}
}

// Total returns the number of messages received.
func (m *Meter) Total() int64 { return m.total.Load() }

// Steps receives when a step is complete.
func (m *Meter) Steps() <-chan struct{} { return m.steps }

// Done is closed when the measurement is complete or failed.
func (m *Meter) Done() <-chan struct{} { return m.done }

// Fail ends the measurement with an error.
func (m *Meter) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.finishLocked(err)
}

func (m *Meter) finishLocked(err error) {
	if !m.ended {
		m.ended = true
		m.err = err
		close(m.done)
	}
}

func (m *Meter) complete(total int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if total < m.next.Load() || m.ended {
		return
	}
	switch now := time.Now(); {
	case m.started && now.Sub(m.start.time) >= m.window:
		m.end = TakeSnapshot(m.pid, total)
		m.finishLocked(nil)
	case !m.started && now.Sub(m.began) >= m.warmup && total >= m.warm:
		m.started = true
		m.start = TakeSnapshot(m.pid, total)
	}
	m.next.Store(total - total%m.step + m.step)
	select {
	case m.steps <- struct{}{}:
	default:
	}
}

// Cost returns the result of the measurement.
func (m *Meter) Cost() (Cost, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return Cost{}, m.err
	}
	return m.end.Since(m.start), nil
}
