package measure

import (
	"sync"
	"time"
)

// SampleInterval is the time between two samples, unless the run is so short that it has fewer than
// minSamples then. It doubles whenever there are maxSamples, and every other one is dropped.
const (
	SampleInterval = 100 * time.Millisecond
	minSamples     = 20
	maxSamples     = 8192
)

// A Sample is a snapshot with the time at which it was taken.
type Sample struct {
	At   time.Duration // since sampling began
	Edge bool          // it was taken where something ended or began, by the Sampler's Sample
	Snapshot
}

// A Sampler takes a sample at every SampleInterval.
type Sampler struct {
	interval time.Duration
	snapshot func() Snapshot
	begin    time.Time
	samples  []Sample
	now      chan struct{} // asks for a sample
	taken    chan struct{} // that one is taken
	quit     chan struct{}
	done     sync.WaitGroup
	once     sync.Once
}

// StartSampler starts to take samples of a run of length d, or of an unknown length if that is 0. Stop must
// be called.
func StartSampler(d time.Duration, snapshot func() Snapshot) *Sampler {
	interval := SampleInterval
	if d > 0 {
		interval = max(min(interval, d/minSamples), time.Millisecond)
	}
	s := &Sampler{interval: interval, snapshot: snapshot, begin: time.Now(), now: make(chan struct{}), taken: make(chan struct{}), quit: make(chan struct{})}
	s.done.Go(s.run)
	return s
}

func (s *Sampler) run() {
	tick := time.NewTicker(s.interval)
	defer tick.Stop()
	s.sample(true)
	for {
		select {
		case <-tick.C:
			s.sample(false)
		case <-s.now:
			s.sample(true)
			s.taken <- struct{}{}
		case <-s.quit:
			s.sample(true)
			return
		}
		if len(s.samples) == maxSamples {
			s.samples = everyOther(s.samples)
			s.interval *= 2
			tick.Reset(s.interval)
		}
	}
}

// Sample takes a sample besides those at every interval: where something ends or begins, so that it is seen
// however short it was. It does nothing after Stop.
func (s *Sampler) Sample() {
	select {
	case s.now <- struct{}{}:
		<-s.taken
	case <-s.quit:
	}
}

// everyOther drops every second sample, but not the first.
func everyOther(samples []Sample) []Sample {
	for i := range len(samples) / 2 {
		samples[i] = samples[2*i]
	}
	return samples[:len(samples)/2]
}

func (s *Sampler) sample(edge bool) {
	s.samples = append(s.samples, Sample{time.Since(s.begin), edge, s.snapshot()})
}

// Stop takes a last sample and returns all of them. Further calls return the same samples.
func (s *Sampler) Stop() []Sample {
	s.once.Do(func() { close(s.quit) })
	s.done.Wait()
	return s.samples
}
