//go:build linux

package epoll

import (
	"fmt"
	"io"
	"runtime"
	"testing"
)

// conns returns how many connections each loop has; -1: it doesn't run.
func (g *group) conns() (conns []int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.loops {
		n := -1
		if l != nil {
			n = l.conns
		}
		conns = append(conns, n)
	}
	return conns
}

func TestConnectionsAreSpreadOverTheLoops(t *testing.T) {
	for given, loops := range map[int]int{-1: 1, 0: 1, 1: 1, 3: 3, 8: 8} {
		m := Loops(given)
		for range 2 * loops {
			attachedTo(t, m, "unix")
		}
		conns := m.loops.conns()
		if len(conns) != loops {
			t.Errorf("Loops(%d) has %d loops", given, len(conns))
		}
		for _, n := range conns {
			if n != 2 {
				t.Errorf("Loops(%d): %v connections on the loops, want 2 on each", given, conns)
			}
		}
	}
}

func TestTheSharedLoopsAreAsManyAsProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	m := Factory{&group{}}
	for range 6 {
		attachedTo(t, m, "unix")
	}
	if got := fmt.Sprint(m.loops.conns()); got != "[2 2 2]" {
		t.Errorf("connections on the loops: %s", got)
	}
	runtime.GOMAXPROCS(1) // those that run go on
	for range 2 {
		attachedTo(t, m, "unix")
	}
	if got := fmt.Sprint(m.loops.conns()); got != "[4 2 2]" {
		t.Errorf("connections on the loops: %s", got)
	}
}

func TestALoopRunsAsLongAsItHasConnections(t *testing.T) {
	m := Loops(2)
	conns := func(want string) {
		t.Helper()
		until(t, want+" connections on the loops", func() bool { return fmt.Sprint(m.loops.conns()) == want })
	}
	served := func() *Conn {
		c, peer := attachedTo(t, m, "tcp")
		s := push(t, c)
		io.WriteString(peer, "Hello")
		until(t, "it is served", func() bool { return s.got() == "Hello" })
		return c
	}
	for range 3 { // they start again
		second, first := served(), served()
		conns("[1 1]")
		first.Close()
		conns("[-1 1]")
		second.Close()
		conns("[-1 -1]")
	}
}

// The last connection of a loop may go while the next one comes.
func TestConnectionsComeAndGo(t *testing.T) {
	m := Loops(1)
	t.Run("in parallel", func(t *testing.T) {
		for user := range 4 {
			t.Run(fmt.Sprint(user), func(t *testing.T) {
				t.Parallel()
				for range 50 {
					c, peer := attachedTo(t, m, "tcp")
					s := push(t, c)
					io.WriteString(peer, "Hello")
					peer.Close()
					if err := s.end(t); err != io.EOF || s.got() != "Hello" {
						t.Fatalf("%q came, then %v", s.got(), err)
					}
				}
			})
		}
	})
	until(t, "the loop stops", func() bool { return fmt.Sprint(m.loops.conns()) == "[-1]" })
}

func TestDescriptorsBeyondTheTableAreRefused(t *testing.T) {
	if err := checkDescriptor(maxDescriptor); err != nil {
		t.Error(err)
	}
	if err := checkDescriptor(maxDescriptor + 1); err == nil {
		t.Error("no error")
	}
}
