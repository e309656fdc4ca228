package measure

import (
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
	At time.Duration // since sampling began
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
