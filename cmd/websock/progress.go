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

func (f *fanoutJob) dialling(c crew, n int) stage {
	return stage{int64(n), func() (int64, string) {
		now := c.standing()
		return now.Up, fmt.Sprintf("%s up, %s", grouped(now.Up), f.trouble(now))
	}}
}

func (f *fanoutJob) exchanging(c crew) stage {
	begin := time.Now()
	at, before := begin, c.standing()
	return stage{f.duration.Milliseconds(), func() (int64, string) {
		time, now := time.Now(), c.standing()
		rate := float64(now.Received-before.Received) / time.Sub(at).Seconds()
		at, before = time, now
		return time.Sub(begin).Milliseconds(), fmt.Sprintf("%s up, %s messages a second, %s",
			grouped(now.Up), grouped(rate), f.trouble(now))
	}}
}

// trouble says what went wrong so far.
func (f *fanoutJob) trouble(now standing) string {
	text := grouped(now.Errors) + " errors"
	if f.reconnect {
		text = grouped(now.Reconnects) + " reconnected, " + text
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
