package liveness

import (
	"errors"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/internal/timing"
)

var (
	errFirst = errors.New("first")
	errLater = errors.New("later")
)

// A watched connection is looked at when its Watch asks for that. It remembers what it was asked for, and when.
type watched struct {
	Watch
	received uint64
	now      timing.Instant
	looks    []timing.Instant // that are due
	pings    []time.Duration
	end      time.Duration
}

func (w *watched) ask(ping, timeout time.Duration, cause error) {
	if next := w.Ask(w.received, w.now, ping, timeout, cause); next > 0 {
		w.looks = append(w.looks, w.now+timing.Instant(next))
	}
}

// run lets time pass. Until silence, something is received before each look.
func (w *watched) run(silence, until time.Duration) {
	for ; time.Duration(w.now) < until && w.end == 0; w.now += timing.Instant(time.Second) {
		due := w.looks
		w.looks = nil
		for _, at := range due {
			if at > w.now {
				w.looks = append(w.looks, at)
				continue
			}
			if time.Duration(w.now) <= silence {
				w.received++
			}
			action, next := w.Look(w.received, w.now)
			switch action {
			case Ping:
				w.pings = append(w.pings, time.Duration(w.now))
			case End:
				w.end = time.Duration(w.now)
			}
			if next > 0 {
				w.looks = append(w.looks, w.now+timing.Instant(next))
			}
		}
	}
}

func TestASilentConnectionIsPingedAndEnds(t *testing.T) {
	const ping, timeout, silence = time.Minute, 2 * time.Minute, time.Hour
	w := &watched{now: timing.Instant(time.Second)}
	w.ask(ping, timeout, errFirst)
	w.run(silence, 2*silence)
	if len(w.pings) != 1 || w.pings[0]-silence < ping-ping/4 || w.pings[0]-silence > ping+ping/4 {
		t.Errorf("silent since %v, pings at %v", silence, w.pings)
	}
	if silent := w.end - silence; silent < timeout-ping/4 || silent > timeout+ping/4 {
		t.Errorf("silent since %v, ended at %v", silence, w.end)
	}
}

func TestTheShortestTimesCount(t *testing.T) {
	w := &watched{now: timing.Instant(time.Second)}
	w.ask(0, time.Hour, errFirst)
	w.ask(time.Minute, 0, errLater)
	w.ask(2*time.Minute, 10*time.Minute, errLater)
	w.run(0, 2*time.Hour)
	if w.Cause != errFirst || len(w.pings) < 7 || len(w.pings) > 9 {
		t.Errorf("the cause is %v; pings at %v", w.Cause, w.pings)
	}
	if w.end < 10*time.Minute || w.end > 10*time.Minute+30*time.Second {
		t.Errorf("ended at %v", w.end)
	}
}

// What was silent before a shorter time was asked for was allowed to be. It gets a PING, and time to answer.
func TestAShorterTimeBeginsWhenItIsAskedFor(t *testing.T) {
	for _, before := range []struct{ ping, timeout time.Duration }{{0, time.Hour}, {time.Hour, 0}, {time.Hour, 2 * time.Hour}} {
		w := &watched{now: timing.Instant(time.Second)}
		w.ask(before.ping, before.timeout, errFirst)
		w.run(0, 10*time.Minute)
		from := time.Duration(w.now)
		w.ask(time.Minute, 2*time.Minute, errLater)
		w.run(0, time.Hour)
		if len(w.pings) != 1 || w.pings[0]-from < time.Minute-time.Minute/4 || w.pings[0]-from > time.Minute+time.Minute/4 {
			t.Errorf("%v: asked for at %v, pings at %v", before, from, w.pings)
		}
		if silent := w.end - from; silent < 2*time.Minute || silent > 2*time.Minute+time.Minute/4 {
			t.Errorf("%v: asked for at %v, ended at %v", before, from, w.end)
		}
	}
}

// Those who ask for the same again don't keep a dead connection.
func TestEqualTimesBeginOnce(t *testing.T) {
	w := &watched{now: timing.Instant(time.Second)}
	for range 10 {
		w.ask(time.Minute, 2*time.Minute, errFirst)
		w.ask(time.Hour, 0, errFirst)
		w.run(0, time.Duration(w.now)+20*time.Second)
	}
	if w.end < 2*time.Minute || w.end > 2*time.Minute+time.Minute/4+time.Second {
		t.Errorf("ended at %v", w.end)
	}
}

func TestAConnectionThatNobodyAsksForIsNotLookedAt(t *testing.T) {
	w := &watched{now: timing.Instant(time.Second)}
	w.ask(0, 0, errFirst)
	if len(w.looks) > 0 {
		t.Error("it is")
	}
	if action, next := w.Look(1, timing.Instant(time.Hour)); action != Wait || next != 0 {
		t.Errorf("%v, %v", action, next)
	}
}
