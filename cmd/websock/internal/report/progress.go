package report

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

// Progress shows the progress of a run on Out if that is a terminal. What is written to it appears on
// Out, above the progress.
type Progress struct {
	Out       io.Writer
	Snapshot  func() measure.Snapshot
	Reconnect bool // lost connections are dialed again

	mu      sync.Mutex
	shown   bool
	pending bytes.Buffer // what was written while it is shown
}

// Write writes to Out, as soon as that doesn't disturb the progress.
func (p *Progress) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		return p.pending.Write(text)
	}
	return p.Out.Write(text)
}

// show says whether progress is shown from now on.
func (p *Progress) show(shown bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shown = shown
}

// writePending writes what was written meanwhile to Out, after clear has made room, if there is
// something.
func (p *Progress) writePending(clear func() error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending.Len() > 0 {
		clear()
		p.pending.WriteTo(p.Out)
	}
}

// WhileDialing runs dial, which opens n connections, and shows how many are open.
func (p *Progress) WhileDialing(n int, dial func()) {
	p.while(dial, int64(n), func() (int64, string) {
		now := p.Snapshot()
		return now.Up, fmt.Sprintf("%s up, %s", console.Grouped(now.Up), p.problems(now))
	})
}

// WhileExchanging runs exchange, which takes d, and shows the message rate.
func (p *Progress) WhileExchanging(d time.Duration, exchange func()) {
	begin, traffic := time.Now(), p.traffic()
	p.while(exchange, d.Milliseconds(), func() (int64, string) {
		now := p.Snapshot()
		return time.Since(begin).Milliseconds(), fmt.Sprintf("%s up, %s", console.Grouped(now.Up), traffic(now))
	})
}

// WhileSharing runs exchange in a cluster that has n keys, and shows how many of them are connected by
// whom.
func (p *Progress) WhileSharing(n int, exchange func()) {
	traffic := p.traffic()
	p.while(exchange, int64(n), func() (int64, string) {
		now := p.Snapshot()
		c := now.Cluster
		return c.Up, fmt.Sprintf("%s up here, %s of %s by %s, %s", console.Grouped(now.Up),
			console.Grouped(c.Up), console.Grouped(n), plural(int(c.Members), "member"), traffic(now))
	})
}

// traffic returns what says how many messages were received a second since it was called last, and
// what went wrong.
func (p *Progress) traffic() func(now measure.Snapshot) string {
	last, at := p.Snapshot(), time.Now()
	return func(now measure.Snapshot) string {
		rate := float64(now.Received-last.Received) / time.Since(at).Seconds()
		last, at = now, time.Now()
		return fmt.Sprintf("%s messages a second, %s", console.Grouped(rate), p.problems(now))
	}
}

// problems describes what went wrong so far.
func (p *Progress) problems(now measure.Snapshot) string {
	text := console.Grouped(now.Errors) + " errors"
	if p.Reconnect {
		text = console.Grouped(now.Reconnects) + " reconnected, " + text
	}
	return text
}

// while runs work and shows a progress bar of the given length. state returns the bar's
// position and the text beside it.
func (p *Progress) while(work func(), length int64, state func() (int64, string)) {
	if !console.IsTerminal(p.Out) {
		work()
		return
	}
	const refresh = 200 * time.Millisecond
	bar := progressbar.NewOptions64(length,
		progressbar.OptionSetWriter(p.Out),
		progressbar.OptionThrottle(refresh/2),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetWidth(20),
		progressbar.OptionClearOnFinish(),
	)
	p.show(true)
	quit := make(chan struct{})
	var shown sync.WaitGroup
	shown.Go(func() {
		tick := time.NewTicker(refresh)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.writePending(bar.Clear)
				position, text := state()
				bar.Describe(text)
				bar.Set64(min(position, length-1)) // a full bar disappears
			case <-quit:
				p.show(false)
				bar.Finish() // clears it
				p.writePending(func() error { return nil })
				return
			}
		}
	})
	work()
	close(quit)
	shown.Wait()
}
