package report

import (
	"slices"
	"sync"
	"time"
)

// SampleInterval is the time between two samples. It doubles whenever there are maxSamples, and every
// other one is dropped.
const (
	SampleInterval = 100 * time.Millisecond
	maxSamples     = 8192
)

// A Sample is a snapshot with the time at which it was taken.
type Sample struct {
	at time.Duration // since sampling began
	Snapshot
}

// A Sampler takes a sample at every SampleInterval.
type Sampler struct {
	snapshot func() Snapshot
	begin    time.Time
	samples  []Sample
	quit     chan struct{}
	done     sync.WaitGroup
	once     sync.Once
}

// StartSampler starts to take samples. Stop must be called.
func StartSampler(snapshot func() Snapshot) *Sampler {
	s := &Sampler{snapshot: snapshot, begin: time.Now(), quit: make(chan struct{})}
	s.done.Go(s.run)
	return s
}

func (s *Sampler) run() {
	interval := SampleInterval
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		s.sample()
		if len(s.samples) == maxSamples {
			s.samples = everyOther(s.samples)
			interval *= 2
			tick.Reset(interval)
		}
		select {
		case <-tick.C:
		case <-s.quit:
			s.sample()
			return
		}
	}
}

// everyOther drops every second sample, but not the first.
func everyOther(samples []Sample) []Sample {
	for i := range len(samples) / 2 {
		samples[i] = samples[2*i]
	}
	return samples[:len(samples)/2]
}

func (s *Sampler) sample() {
	s.samples = append(s.samples, Sample{time.Since(s.begin), s.snapshot()})
}

// Stop takes a last sample and returns all of them. Further calls return the same samples.
func (s *Sampler) Stop() []Sample {
	s.once.Do(func() { close(s.quit) })
	s.done.Wait()
	return s.samples
}

// A timeline holds samples at equal distances, the first at 0, so that a chart shows time in
// proportion.
type timeline struct {
	samples []Sample
	ticks   int           // intervals between the labels of the axis
	tick    time.Duration // length of each, a round number
}

const (
	maxTicks          = 10
	maxSamplesPerTick = 20
)

// newTimeline interpolates samples, which are in order of time, at equal distances.
func newTimeline(samples []Sample) timeline {
	end := samples[len(samples)-1].at
	t := timeline{tick: max(roundUp(end/maxTicks), SampleInterval)}
	t.ticks = max(int((end+t.tick-1)/t.tick), 1)
	perTick := min(int(t.tick/SampleInterval), maxSamplesPerTick)
	for i := range t.ticks*perTick + 1 {
		t.samples = append(t.samples, interpolate(samples, time.Duration(i)*t.tick/time.Duration(perTick)))
	}
	return t
}

// interpolate returns the counters at a time. Between two samples they change linearly; before
// the first and after the last sample they are constant.
func interpolate(samples []Sample, at time.Duration) Sample {
	i, _ := slices.BinarySearchFunc(samples, at, func(s Sample, at time.Duration) int { return int(s.at - at) })
	switch i {
	case 0:
		return Sample{at, samples[0].Snapshot}
	case len(samples):
		return Sample{at, samples[i-1].Snapshot}
	}
	from, to := samples[i-1], samples[i]
	fraction := float64(at-from.at) / float64(to.at-from.at)
	between := func(from, to int64) int64 { return from + int64(fraction*float64(to-from)) }
	return Sample{at, Snapshot{
		Up:         between(from.Up, to.Up),
		Sent:       between(from.Sent, to.Sent),
		Received:   between(from.Received, to.Received),
		Errors:     between(from.Errors, to.Errors),
		Reconnects: between(from.Reconnects, to.Reconnects),
		Cluster:    to.Cluster, // it changes in steps
	}}
}

// values returns one counter of every sample.
func (t timeline) values(counter func(Sample) int64) []float64 {
	values := make([]float64, len(t.samples))
	for i, s := range t.samples {
		values[i] = float64(counter(s))
	}
	return values
}

// messageRates returns the messages received a second before each sample.
func (t timeline) messageRates() []float64 {
	rates := make([]float64, len(t.samples))
	for i := 1; i < len(rates); i++ {
		last, now := t.samples[i-1], t.samples[i]
		rates[i] = rounded(float64(now.Received-last.Received) / (now.at - last.at).Seconds())
	}
	return rates
}
