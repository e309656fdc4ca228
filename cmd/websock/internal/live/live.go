// Package live shows a run while it goes on: on a screen of its own on a terminal, as plain lines elsewhere,
// or not at all. The screen is a function of a state, which is made of snapshots.
package live

import (
	"context"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
	"github.com/seed004e8d11/websock/cmd/websock/internal/process"
)

// Options say what is shown, and where.
type Options struct {
	Out   io.Writer // usually standard error
	Quiet bool      // show nothing

	Command     string   // that runs
	Servers     []string // URLs
	Details     []string // what else was asked for
	Connections int      // that there are to be; in a cluster, of all members together

	// Lasts says for phases how long they take at most. The others take as long as they take.
	Lasts map[string]time.Duration

	// Interrupt is called when a person interrupts the run at the screen, by a key, and EndNow when it is
	// interrupted once more, by a key or a signal, or hung up, after the terminal was restored. Without a
	// screen, signals are not handled here.
	Interrupt, EndNow func()
}

// A Display shows one run, between Start and Stop. What is written to it appears on Out: at once if there
// is no screen, and else on the screen and, after that has ended, on Out.
type Display struct {
	options Options
	log     log
	begin   time.Time
	events  chan struct{} // the screen has to be drawn anew
	quit    chan struct{}
	done    sync.WaitGroup
	stop    sync.Once

	terminal *terminal // nil: there is no screen
	mu       sync.Mutex
	pressed  int // how often the run was interrupted; guarded by mu
}

// New returns a Display that shows nothing yet.
func New(o Options) *Display {
	return &Display{options: o, log: log{out: o.Out}, events: make(chan struct{}, 1), quit: make(chan struct{})}
}

// SetServers says to which URLs the run connects. It must be called before Start.
func (d *Display) SetServers(urls []string) { d.options.Servers = urls }

// Write writes to the log. It never fails.
func (d *Display) Write(text []byte) (int, error) { return d.log.Write(text) }

// Start begins to show what snapshot returns, which is called several times a second by one goroutine.
// If ctx has ended, the run was interrupted before. Stop must be called.
func (d *Display) Start(ctx context.Context, snapshot func() measure.Snapshot) {
	if d.options.Quiet {
		return
	}
	d.begin = time.Now()
	look := func() measure.Sample { return measure.Sample{At: time.Since(d.begin), Snapshot: snapshot()} }
	if canShow(d.options.Out) {
		if t, err := openTerminal(d.options.Out.(*os.File)); err == nil {
			d.terminal = t
		}
	}
	if d.terminal == nil {
		d.done.Go(func() { d.writeLines(look) })
		return
	}
	if ctx.Err() != nil {
		d.pressed = 1
	}
	d.log.hold()
	signals, hangup := make(chan os.Signal, 2), make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(hangup, syscall.SIGHUP)
	}
	d.done.Go(func() {
		defer signal.Stop(signals)
		defer signal.Stop(hangup)
		d.handleEvents(signals, hangup)
	})
	d.done.Go(func() { d.drawScreen(look) })
}

// Stop ends what is shown, restores the terminal and writes what was logged meanwhile. Further calls do
// nothing.
func (d *Display) Stop() {
	d.stop.Do(func() {
		close(d.quit)
		d.done.Wait()
		if d.terminal != nil {
			d.terminal.close()
		}
		d.log.release()
	})
}

// writeLines writes a line every now and then, until Stop.
func (d *Display) writeLines(look func() measure.Sample) {
	l := lines{options: &d.options}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if line := l.add(look()); line != "" {
			d.Write([]byte(line + "\n"))
		}
		select {
		case <-tick.C:
		case <-d.quit:
			return
		}
	}
}

// drawScreen draws the screen until Stop. It restores the terminal if it panics.
func (d *Display) drawScreen(look func() measure.Sample) {
	defer func() {
		if p := recover(); p != nil {
			d.terminal.close()
			panic(p)
		}
	}()
	t := tracker{options: &d.options}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	s := t.add(look())
	for {
		process.Aside(func() {
			s.log = d.log.latest()
			s.ending = d.interrupts() > 0
			d.terminal.show(s.render(d.terminal.size()))
		})
		select {
		case <-tick.C:
			s = t.add(look())
		case <-d.events:
		case <-d.quit:
			return
		}
	}
}

// handleEvents handles keys, signals and changes of the terminal's size until Stop.
func (d *Display) handleEvents(signals, hangup <-chan os.Signal) {
	for {
		select {
		case <-signals:
			d.interrupt()
		case <-hangup: // without a screen, that would end the program, too
			d.endNow()
		case event := <-d.terminal.events():
			if isInterrupt(event) {
				d.interrupt()
			}
		case <-d.quit:
			return
		}
		select {
		case d.events <- struct{}{}:
		default: // it will be drawn anyhow
		}
	}
}

func (d *Display) interrupts() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pressed
}

// interrupt handles an interrupt by a key or a signal. The second one ends the program.
func (d *Display) interrupt() {
	d.mu.Lock()
	d.pressed++
	first := d.pressed == 1
	d.mu.Unlock()
	if first {
		d.options.Interrupt()
		return
	}
	d.endNow()
}

// endNow ends the program after the terminal was restored, or if it takes nothing.
func (d *Display) endNow() {
	const limit = time.Second
	restored := make(chan struct{})
	go func() {
		defer close(restored)
		d.terminal.close()
		d.log.release()
	}()
	select {
	case <-restored:
	case <-time.After(limit):
	}
	d.options.EndNow()
}
