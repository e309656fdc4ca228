package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// A stage is a part of the work whose progress is shown.
type stage struct {
	length int64
	at     func() (position int64, text string)
}

func dialling(f *fleet) stage {
	return stage{int64(len(f.slots)), func() (int64, string) {
		up := f.up.Load()
		return up, fmt.Sprintf("%s up, %s", grouped(up), f.trouble())
	}}
}

func exchanging(f *fleet, d time.Duration) stage {
	begin := time.Now()
	before, seen := begin, int64(0)
	return stage{d.Milliseconds(), func() (int64, string) {
		now := time.Now()
		_, received := f.totals()
		rate := float64(received-seen) / now.Sub(before).Seconds()
		before, seen = now, received
		return now.Sub(begin).Milliseconds(), fmt.Sprintf("%s up, %s messages a second, %s",
			grouped(f.up.Load()), grouped(rate), f.trouble())
	}}
}

// trouble says what went wrong so far.
func (f *fleet) trouble() string {
	text := grouped(f.failures.total()) + " errors"
	if f.reconnect {
		text = grouped(f.comebacks.Load()) + " reconnected, " + text
	}
	return text
}

// during shows the progress of work, if somebody can see it.
func (s stdio) during(now stage, work func()) {
	if !isTerminal(s.err) {
		work()
		return
	}
	const refresh = 200 * time.Millisecond
	bar := progressbar.NewOptions64(now.length,
		progressbar.OptionSetWriter(s.err),
		progressbar.OptionThrottle(refresh/2),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetWidth(20),
		progressbar.OptionClearOnFinish(),
	)
	done := make(chan struct{})
	var shown sync.WaitGroup
	shown.Go(func() {
		tick := time.NewTicker(refresh)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				position, text := now.at()
				bar.Describe(text)
				bar.Set64(min(position, now.length-1)) // at the end it would vanish
			case <-done:
				bar.Finish()
				return
			}
		}
	})
	work()
	close(done)
	shown.Wait()
}

// isTerminal reports whether a stream is one of a terminal.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
