package fanout

import (
	"testing"
	"unsafe"
)

func TestEveryEventInEveryPhaseOfASlot(t *testing.T) {
	// For each phase, in the order of the events: due, enqueued, dial, connected, failed, permanent,
	// notified, retry, close, cut.
	for from, want := range map[phase][events]phase{
		noPhase:        {},
		delayed:        {queued, 0, 0, 0, 0, 0, 0, retrying, stopped, 0},
		retrying:       {0, queued, 0, 0, notifying, notifyingStop, 0, 0, stopped, 0},
		queued:         {0, 0, connecting, 0, notifying, notifyingStop, 0, 0, stopped, 0},
		connecting:     {0, 0, 0, up, notifying, notifyingStop, 0, 0, 0, stopped},
		up:             {0, 0, 0, 0, notifying, notifyingStop, 0, 0, 0, stopped},
		notifying:      {0, 0, 0, 0, 0, 0, delayed, notifyingRetry, notifyingStop, 0},
		notifyingRetry: {0, 0, 0, 0, 0, 0, retrying, 0, notifyingStop, 0},
		notifyingStop:  {0, 0, 0, 0, 0, 0, stopped, notifyingRetry, 0, 0},
		stopped:        {0, 0, 0, 0, 0, 0, 0, retrying, 0, 0},
	} {
		for e := range events {
			g := &Group{}
			g.inState[from.state()] = 1
			s := &Slot{group: g, phase: from}
			changed := s.handleLocked(e)
			to := want[e]
			if changed != (to != noPhase) {
				t.Errorf("phase %d, event %d: changed %v", from, e, changed)
			}
			if to == noPhase {
				to = from
			}
			var inState [states]int
			inState[to.state()] = 1
			if s.phase != to || g.inState != inState {
				t.Errorf("phase %d, event %d: phase %d, want %d; slots by state: %v", from, e, s.phase, to, g.inState)
			}
		}
	}
}

func TestPhasesAreSeenAsStates(t *testing.T) {
	want := map[phase]State{
		delayed: Waiting, retrying: Waiting, queued: Waiting, connecting: Connecting, up: Up,
		notifying: Waiting, notifyingRetry: Waiting, notifyingStop: Stopped, stopped: Stopped,
	}
	for p, state := range want {
		if p.state() != state {
			t.Errorf("phase %d is %v, want %v", p, p.state(), state)
		}
	}
	if len(want) != int(phases)-1 {
		t.Errorf("%d phases are tested, of %d", len(want), phases-1)
	}
}

func TestNamesOfStates(t *testing.T) {
	for state, want := range map[State]string{Waiting: "waiting", Connecting: "connecting", Up: "up", Stopped: "stopped", 99: "invalid"} {
		if state.String() != want {
			t.Errorf("%q, want %q", state, want)
		}
	}
}

// What a slot costs in addition to its connection.
func TestASlotIsSmall(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("the sizes are those of 64-bit systems")
	}
	if size := unsafe.Sizeof(Slot{}); size > 96 {
		t.Errorf("a Slot takes %d bytes", size)
	}
	if size := unsafe.Sizeof(link{}); size > 168 {
		t.Errorf("a link takes %d bytes", size)
	}
}
