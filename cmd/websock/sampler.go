package main

import (
	"sync"
	"time"
)

// sampleEvery is the time between two readings.
const sampleEvery = 100 * time.Millisecond

// A reading is how a crew stood at a time.
type reading struct {
	at time.Duration // since the sampler began
	standing
}

// A sampler takes a reading now and then.
type sampler struct {
	crew     crew
	begin    time.Time
	readings []reading
	end      chan struct{}
	ended    sync.WaitGroup
	once     sync.Once
}

// sample begins to take readings, until stop.
func sample(c crew) *sampler {
	s := &sampler{crew: c, begin: time.Now(), end: make(chan struct{})}
	s.ended.Go(s.run)
	return s
}

func (s *sampler) run() {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		s.read()
		select {
		case <-tick.C:
		case <-s.end:
			s.read()
			return
		}
	}
}

func (s *sampler) read() {
	s.readings = append(s.readings, reading{time.Since(s.begin), s.crew.standing()})
}

// stop returns the readings, the last of them taken now when it is called first.
func (s *sampler) stop() []reading {
	s.once.Do(func() { close(s.end) })
	s.ended.Wait()
	return s.readings
}
