package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"sync"
	"time"
)

// A notice is a line that a part of a fanout of several processes writes for the one that has
// started it: how things stand, and now and then that a stage is over.
type notice struct {
	Standing standing `json:"standing"`
	Over     string   `json:"over,omitempty"`    // a stage
	Account  *account `json:"account,omitempty"` // at the end
}

// The stages of a fanout.
const (
	stageDial     = "dial"
	stageExchange = "exchange"
)

// takePart is one of several processes. It dials at once, and waits for a line on standard
// input before it exchanges messages. The end of standard input is what an interrupt is
// elsewhere.
func (f *fanoutJob) takePart(ctx context.Context) error {
	fleet, err := f.fleet(f.n)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	begin := make(chan struct{})
	go heed(f.in, func() { close(begin) }, end)

	t := &teller{fleet: fleet, out: json.NewEncoder(f.out)}
	defer t.keepTelling()()
	if err := fleet.dial(ctx); err != nil {
		return err
	}
	t.tell(stageDial, nil)
	select {
	case <-begin:
	case <-ctx.Done():
	}
	fleet.exchange(ctx, f.duration) // never fails here
	t.tell(stageExchange, nil)
	account, _ := fleet.finish(f.timeout) // likewise
	t.tell("", &account)
	return nil
}

// heed calls line with the first line, and end with the end.
func heed(in io.Reader, line, end func()) {
	defer end()
	lines := bufio.NewReader(in)
	if _, err := lines.ReadString('\n'); err != nil {
		return
	}
	line()
	io.Copy(io.Discard, lines)
}

// A teller writes notices.
type teller struct {
	fleet *fleet
	mu    sync.Mutex
	out   *json.Encoder
}

// tell writes a notice. That it can't be read any more shows at the end of standard input.
func (t *teller) tell(over string, a *account) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out.Encode(notice{t.fleet.standing(), over, a})
}

// keepTelling tells how things stand until the function that it returns is called.
func (t *teller) keepTelling() (stop func()) {
	end := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				t.tell("", nil)
			case <-end:
				return
			}
		}
	})
	return func() {
		close(end)
		ended.Wait()
	}
}
