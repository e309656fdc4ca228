package report

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// Progress shows the progress of a run on Out if that is a terminal.
type Progress struct {
	Out       io.Writer
	Snapshot  func() Snapshot
	Reconnect bool // lost connections are dialed again
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
	begin := time.Now()
	lastTime, last := begin, p.Snapshot()
	p.while(exchange, d.Milliseconds(), func() (int64, string) {
		time, now := time.Now(), p.Snapshot()
		rate := float64(now.Received-last.Received) / time.Sub(lastTime).Seconds()
		lastTime, last = time, now
		return time.Sub(begin).Milliseconds(), fmt.Sprintf("%s up, %s messages a second, %s",
			console.Grouped(now.Up), console.Grouped(rate), p.problems(now))
	})
}

// problems describes what went wrong so far.
func (p *Progress) problems(now Snapshot) string {
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
	quit := make(chan struct{})
	var shown sync.WaitGroup
	shown.Go(func() {
		tick := time.NewTicker(refresh)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				position, text := state()
				bar.Describe(text)
				bar.Set64(min(position, length-1)) // a full bar disappears
			case <-quit:
				bar.Finish()
				return
			}
		}
	})
	work()
	close(quit)
	shown.Wait()
}
