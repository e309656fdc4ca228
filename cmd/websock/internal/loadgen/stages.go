package loadgen

import (
	"context"
	"strconv"
	"time"

	"github.com/seed004e8d11/websock/fanout"
)

// stages open and close the connections of a LoadGen as its scenario says. The keys of slots are the
// numbers of their connections.
type stages struct {
	gen     *LoadGen
	group   *fanout.Group
	wanted  int          // the connections with lower numbers are to be open
	closing map[int]bool // connections that are to be closed when their answers came, or are overdue
}

// stageTick is the time between two changes.
const stageTick = 10 * time.Millisecond

// numberByKey is LoadGen.numberOf for slots of stages.
func numberByKey(s *fanout.Slot) int {
	number, _ := strconv.Atoi(s.Key()) // it was made by Itoa
	return number
}

// staged reports whether connections come and go as the scenario says.
func (g *LoadGen) staged() bool { return g.Scenario != nil && len(g.Scenario.Stages) > 0 }

// dialStages starts a Group without connections.
func (g *LoadGen) dialStages(o fanout.Options) error {
	o.Size = -1
	group, err := fanout.Start(o)
	if err == nil {
		g.own(group)
	}
	return err
}

// runStages goes through all stages, until ctx ends.
func (g *LoadGen) runStages(ctx context.Context) {
	s := &stages{gen: g, group: g.group.Load(), closing: map[int]bool{}}
	s.run(ctx)
	g.countConnections()
	g.result.Connections = g.mostUp.Load()
}

// run goes through all stages, until ctx ends.
func (s *stages) run(ctx context.Context) {
	g := s.gen
	tick := time.NewTicker(stageTick)
	defer tick.Stop()
	for begin := time.Now(); ; {
		stage, all := g.Scenario.At(time.Since(begin))
		g.stage.Store(&stage.Name)
		s.want(g.shareOf(all))
		s.closeDrained()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// shareOf returns how many of the connections of the scenario this process has open, when all processes
// have so many.
func (g *LoadGen) shareOf(all int) int {
	before := func(number int) int { return int(int64(all) * int64(number) / int64(g.Scenario.MostConnections())) }
	return before(g.First+g.Connections) - before(g.First)
}

// want opens connections, or has the last ones stop and close, until n are open.
func (s *stages) want(n int) {
	for ; s.wanted < n; s.wanted++ {
		if !s.closing[s.wanted] { // otherwise it is opened again when it has closed
			s.open(s.wanted)
		}
	}
	for ; s.wanted > n; s.wanted-- {
		number := s.wanted - 1
		s.gen.slots[number].closing.Store(true)
		if c := s.gen.slots[number].conn.Load(); c != nil {
			c.script().stop()
		}
		s.closing[number] = true
	}
}

func (s *stages) open(number int) {
	s.gen.slots[number].closing.Store(false)
	s.group.Add(strconv.Itoa(number), fanout.SlotOptions{}) // fails only after Shutdown
}

// closeDrained closes the connections that have stopped and wait for no answers.
func (s *stages) closeDrained() {
	for number := range s.closing {
		if c := s.gen.slots[number].conn.Load(); c != nil && !c.isClosed() {
			c.script().stop() // it may have opened after it was to be closed
			if c.inFlight() > 0 {
				continue
			}
		}
		delete(s.closing, number)
		s.group.Remove(strconv.Itoa(number))
		if number < s.wanted {
			s.open(number)
		}
	}
}

// countUp counts a connection that is open.
func (g *LoadGen) countUp() {
	up := g.up.Add(1)
	for most := g.mostUp.Load(); up > most && !g.mostUp.CompareAndSwap(most, up); {
		most = g.mostUp.Load()
	}
}
