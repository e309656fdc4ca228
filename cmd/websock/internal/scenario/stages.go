package scenario

import (
	"fmt"
	"time"
)

// A Stage is a part of the time, in which connections are opened or closed at an even rate.
type Stage struct {
	Name string
	To   int           // connections at its end
	For  time.Duration // 0: at once
}

// nameStages gives a name to each stage that has none.
func nameStages(stages []Stage) {
	before := 0
	for i := range stages {
		s := &stages[i]
		switch {
		case s.Name != "":
		case s.To > before:
			s.Name = fmt.Sprintf("ramp up to %d", s.To)
		case s.To < before:
			s.Name = fmt.Sprintf("ramp down to %d", s.To)
		default:
			s.Name = fmt.Sprintf("hold %d", s.To)
		}
		before = s.To
	}
}

// MostConnections returns how many connections there are at most: those of the largest stage, or
// Connections.
func (s *Scenario) MostConnections() int {
	most := s.Connections
	for _, stage := range s.Stages {
		most = max(most, stage.To)
	}
	return most
}

// Length returns how long messages are exchanged: the sum of the stages, or Duration.
func (s *Scenario) Length() time.Duration {
	length := s.Duration
	for _, stage := range s.Stages {
		length += stage.For
	}
	return length
}

// At returns the stage after a time since the beginning, and how many connections there should be then.
// It is the last one after the end.
func (s *Scenario) At(elapsed time.Duration) (stage Stage, connections int) {
	before := 0
	for _, stage = range s.Stages {
		if elapsed < stage.For {
			return stage, before + int(float64(stage.To-before)*float64(elapsed)/float64(stage.For))
		}
		elapsed -= stage.For
		before = stage.To
	}
	return stage, before
}
