//go:build linux

package loopback

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/bench/server"
)

// CanSlice reports whether RunSliced can run the case: each client goes on by itself.
func (c Case) CanSlice() bool { return c.Kind == Echo || c.Kind == Pipelined || c.Kind == Broadcast }

// A sliced is a client that runs in slices of time.
type sliced struct {
	player
	lab    *Lab          // if clients are compared: of its own, since the descriptors of a server are limited
	server *echoServer   // if servers are compared
	done   chan struct{} // closed when there is a result
	result Result
	err    error
}

// RunSliced runs a case for all contestants at the same time, of which one has each slice of time, in
// turns. Whatever else the machine does then disturbs all of them alike. What is measured is the CPU time
// of each, which passes in its own slices only. The times of messages mean nothing and are left out.
// Servers that are compared have nothing to do while their clients are stopped.
func (l *Lab) RunSliced(contestants []Contestant, c Case, t Timing, slice time.Duration) ([]Result, []error) {
	t.Warmup *= time.Duration(len(contestants))
	t.Window *= time.Duration(len(contestants))
	late := 0 // they go on when the others have finished
	for _, contestant := range contestants {
		if contestant.compiledLate() {
			late++
		}
	}
	all := make([]*sliced, len(contestants))
	for i, contestant := range contestants {
		all[i] = l.startSliced(contestant, c, contestant.warmed(t, late), len(contestants))
		all[i].awaitStop()
	}
	for running := true; running; {
		running = false
		for _, s := range all {
			running = s.takeTurn(slice) || running
		}
	}
	results, errs := make([]Result, len(all)), make([]error, len(all))
	for i, s := range all {
		s.result.Turnaround = server.Turnaround{}
		results[i], errs[i] = s.result, s.err
		if s.player != nil {
			s.end()
		}
		if s.server != nil {
			s.server.end()
		}
		if s.lab != nil {
			s.lab.Close()
		}
	}
	return results, errs
}

// startSliced starts a client, one of several, which stops itself before its work.
func (l *Lab) startSliced(contestant Contestant, c Case, t Timing, several int) *sliced {
	s := &sliced{done: make(chan struct{})}
	limit := timeLimit(c, t) * time.Duration(several)
	var task task
	if s.err = c.checkDescriptors(); s.err != nil {
		close(s.done)
		return s
	}
	if c.Server {
		if s.server, s.err = l.startEcho(contestant, limit); s.err == nil {
			task = l.taskFor(s.server, c, t)
		}
	} else if s.lab, s.err = Open(l.clientCPU >= 0); s.err == nil {
		_, name := splitProgram(contestant.Name)
		task = s.lab.task(name, c, t)
	}
	task.Limit, task.Stops = limit, true
	if s.err == nil {
		s.player, s.err = l.startPlayer(contestant, task)
	}
	if s.err != nil {
		close(s.done)
		return s
	}
	go func() {
		defer close(s.done)
		s.result, s.err = s.play(task)
	}()
	return s
}

// awaitStop waits until the client has opened its connections and stopped itself, or failed.
func (s *sliced) awaitStop() {
	for {
		select {
		case <-s.done:
			return
		case <-time.After(time.Millisecond):
		}
		if status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid())); bytes.Contains(status, []byte(") T ")) {
			return
		}
	}
}

// takeTurn lets the client run for a slice, or until it has a result. It returns false if it has one.
func (s *sliced) takeTurn(slice time.Duration) bool {
	select {
	case <-s.done:
		return false
	default:
	}
	s.signal(unix.SIGCONT)
	select {
	case <-s.done:
		return false
	case <-time.After(slice):
		s.signal(unix.SIGSTOP)
		return true
	}
}

// splitProgram splits the name of a contestant of another build of this program: PROGRAM:NAME.
func splitProgram(contestant string) (program, name string) {
	i := strings.LastIndexByte(contestant, ':')
	return contestant[:max(i, 0)], contestant[i+1:]
}
