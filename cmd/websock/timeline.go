package main

import (
	"slices"
	"time"
)

// A timeline is readings at even distances, the first at 0, so that a chart can show them in
// proportion.
type timeline struct {
	readings []reading
	ticks    int           // distances that an axis shows, each of as many readings
	tick     time.Duration // a round number
}

// The most that a timeline has.
const (
	maxTicks    = 10
	maxPerTicks = 20 // readings
)

// newTimeline makes one of readings at any times, in their order. Where the distances are
// longer than those, what lies between the chosen ones counts with them.
func newTimeline(readings []reading) timeline {
	end := readings[len(readings)-1].at
	t := timeline{tick: max(roundNumber(end/maxTicks), sampleEvery)}
	t.ticks = max(int((end+t.tick-1)/t.tick), 1)
	perTick := min(int(t.tick/sampleEvery), maxPerTicks)
	for i := range t.ticks*perTick + 1 {
		t.readings = append(t.readings, readingAt(readings, time.Duration(i)*t.tick/time.Duration(perTick)))
	}
	return t
}

// readingAt returns how things stood at a time, as if they had changed steadily between two
// readings, and not at all before the first and after the last one.
func readingAt(readings []reading, at time.Duration) reading {
	after, _ := slices.BinarySearchFunc(readings, at, func(r reading, at time.Duration) int { return int(r.at - at) })
	switch after {
	case 0:
		return reading{at, readings[0].standing}
	case len(readings):
		return reading{at, readings[after-1].standing}
	}
	from, to := readings[after-1], readings[after]
	way := float64(at-from.at) / float64(to.at-from.at)
	return reading{at, between(from.standing, to.standing, way)}
}

// between returns a standing on the way from one to another, of which 1 is all.
func between(from, to standing, way float64) standing {
	part := func(from, to int64) int64 { return from + int64(way*float64(to-from)) }
	return standing{
		Up:         part(from.Up, to.Up),
		Sent:       part(from.Sent, to.Sent),
		Received:   part(from.Received, to.Received),
		Errors:     part(from.Errors, to.Errors),
		Reconnects: part(from.Reconnects, to.Reconnects),
	}
}

// values returns one number of each reading.
func (t timeline) values(of func(reading) int64) []float64 {
	values := make([]float64, len(t.readings))
	for i, r := range t.readings {
		values[i] = float64(of(r))
	}
	return values
}

// messageRates returns how many messages a second came before each reading.
func (t timeline) messageRates() []float64 {
	rates := make([]float64, len(t.readings))
	for i := 1; i < len(rates); i++ {
		before, now := t.readings[i-1], t.readings[i]
		rates[i] = rounded(float64(now.Received-before.Received) / (now.at - before.at).Seconds())
	}
	return rates
}
