package fanout

import (
	"testing"
	"unsafe"
)

// bareSlot returns a slot in a phase and with an intent, and its Group, which has no other.
func bareSlot(p phase, i intent) (*Slot, *Group) {
	g := &Group{enqueuing: true} // so that nothing begins
	g.inState[countedAs(p, i)] = 1
	return &Slot{group: g, phase: p, intent: i}, g
}

// checkSlot asserts the phase and intent of a bareSlot, and that it is counted.
func checkSlot(t *testing.T, s *Slot, p phase, i intent, what ...any) {
	t.Helper()
	var inState [states + 1]int
	inState[countedAs(p, i)] = 1
	if s.phase != p || s.intent != i || s.group.inState != inState {
		t.Errorf("%v: phase %d with intent %d, want %d with %d; slots by state: %v", what, s.phase, s.intent, p, i, s.group.inState)
	}
}

func TestEveryEventInEveryPhaseOfASlot(t *testing.T) {
	// For each phase, in the order of the events: due, unblocked, turn, blocked, dropped, chosen, rechoose,
	// dial, connected, failed, notified, cut.
	for from, want := range map[phase][events]phase{
		noPhase:    {},
		delayed:    {enlisted, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		blocked:    {0, enlisted, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		enlisted:   {0, 0, choosing, blocked, delayed, 0, 0, 0, 0, 0, 0, 0},
		choosing:   {0, 0, 0, 0, delayed, queued, 0, 0, 0, notifying, 0, 0},
		queued:     {0, 0, 0, 0, 0, 0, enlisted, connecting, 0, 0, 0, 0},
		connecting: {0, 0, 0, 0, 0, 0, 0, 0, up, notifying, 0, delayed},
		up:         {0, 0, 0, 0, 0, 0, 0, 0, 0, notifying, 0, delayed},
		notifying:  {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, delayed, 0},
		stopped:    {},
		gone:       {},
	} {
		for e := range events {
			s, g := bareSlot(from, goOn)
			changed := s.handleLocked(e)
			to := want[e]
			if changed != (to != noPhase) {
				t.Errorf("phase %d, event %d: changed %v", from, e, changed)
			}
			if to == noPhase {
				to = from
			}
			checkSlot(t, s, to, goOn, "phase", from, "event", e)
			if queued := len(g.toEnqueue) == 1; queued != (changed && to == enlisted) {
				t.Errorf("phase %d, event %d: enqueued %v", from, e, queued)
			}
		}
	}
}

func TestWhereAnIntentLeadsFromEachPhase(t *testing.T) {
	// For each phase, in the order of the intents: goOn, hurry, giveUp, stop, leave.
	for from, want := range map[phase][intents - 1]phase{
		delayed:    {delayed, enlisted, stopped, stopped, gone},
		blocked:    {blocked, blocked, blocked, stopped, gone},
		enlisted:   {enlisted, enlisted, enlisted, enlisted, enlisted},
		choosing:   {choosing, choosing, choosing, choosing, choosing},
		queued:     {queued, queued, queued, stopped, gone},
		connecting: {connecting, connecting, connecting, connecting, connecting},
		up:         {up, up, up, up, up},
		notifying:  {notifying, notifying, notifying, notifying, notifying},
		stopped:    {stopped, enlisted, stopped, stopped, gone},
		gone:       {gone, gone, gone, gone, gone},
	} {
		for n, to := range want {
			i := intent(n + 1)
			s, _ := bareSlot(from, goOn)
			s.moveLocked(from, i)
			checkSlot(t, s, to, i, "phase", from)
		}
	}
}

func TestWhatEveryWishChanges(t *testing.T) {
	// For each wish, in the order of the intents: goOn, hurry, giveUp, stop, leave.
	for w, want := range map[wish][intents - 1]intent{
		wishRetry:  {hurry, 0, hurry, 0, 0},
		wishResume: {0, 0, hurry, hurry, 0},
		wishStop:   {stop, stop, stop, 0, 0},
		wishLeave:  {leave, leave, leave, leave, 0},
	} {
		for n, to := range want {
			from := intent(n + 1)
			s, _ := bareSlot(notifying, from)
			if changed := s.wishLocked(w); changed != (to != noIntent) {
				t.Errorf("wish %d, intent %d: changed %v", w, from, changed)
			}
			if to == noIntent {
				to = from
			}
			checkSlot(t, s, notifying, to, "wish", w, "intent", from)
		}
	}
}

func TestPhasesAreSeenAsStates(t *testing.T) {
	want := map[phase][2]State{ // of a slot that goes on, and of one that stops or leaves
		delayed: {Waiting, Stopped}, blocked: {Waiting, Stopped}, enlisted: {Waiting, Stopped}, choosing: {Waiting, Stopped},
		queued: {Waiting, Stopped}, connecting: {Connecting, Connecting}, up: {Up, Up}, notifying: {Waiting, Stopped},
		stopped: {Stopped, Stopped}, gone: {Stopped, Stopped},
	}
	for p, state := range want {
		for i, want := range map[intent]State{goOn: state[0], hurry: state[0], giveUp: state[1], stop: state[1], leave: state[1]} {
			if got := stateOf(p, i); got != want {
				t.Errorf("phase %d with intent %d is %v, want %v", p, i, got, want)
			}
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

// What a slot costs in addition to its connection. An object of 96 bytes takes no more memory, one of 97
// takes 112. One of 168 bytes takes as much as one of 176.
func TestASlotIsSmall(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("the sizes are those of 64-bit systems")
	}
	if size := unsafe.Sizeof(Slot{}); size > 96 {
		t.Errorf("a Slot takes %d bytes", size)
	}
	if size := unsafe.Sizeof(link{}); size > 176 {
		t.Errorf("a link takes %d bytes", size)
	}
}
