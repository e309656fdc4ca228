package fanout

// A phase is what a slot is doing, in more detail than State.
type phase uint8

const (
	noPhase    phase = iota
	delayed          // until its time has come
	blocked          // until the slot that had its key before has ended
	enlisted         // for its turn to choose what it connects to
	choosing         // Choose is being called
	queued           // for its turn to dial
	connecting       // an attempt is under way
	up               // there is a link
	notifying        // OnDown is being called
	stopped          // until Retry or Resume is called
	gone             // it was removed, and nothing is under way any more, except calls of OnUnsent
	phases
)

// An intent is what is to become of a slot. A slot that is connecting or up and has another intent
// than goOn is on its way down.
type intent uint8

const (
	noIntent intent = iota
	goOn            // it is dialed when its time has come
	hurry           // it is dialed as soon as Pace allows
	giveUp          // it stops, since it has failed for good
	stop            // it stops, and only Resume has it dialed again
	leave           // it ends
	intents
)

// stateOf returns what a slot is doing as the application sees it.
func stateOf(p phase, i intent) State {
	switch {
	case p == connecting:
		return Connecting
	case p == up:
		return Up
	case p == stopped, p == gone, i >= giveUp:
		return Stopped
	}
	return Waiting
}

// An event makes a slot go from one phase to another.
type event uint8

const (
	eventDue       event = iota // the delay is over
	eventUnblocked              // the slot that had its key before has ended
	eventTurn                   // its turn to choose has come
	eventBlocked                // likewise, but there is a slot that had its key before
	eventDropped                // likewise, or Choose has returned, but it isn't to be dialed any more
	eventChosen                 // Choose has returned
	eventRechoose               // it had better connect to another target than it has chosen
	eventDial                   // its turn to dial has come
	eventConnected              // the attempt has succeeded
	eventFailed                 // Choose or the attempt has failed, or the connection is lost
	eventNotified               // OnDown has returned
	eventCut                    // Shutdown no longer waits for the attempt or the connection
	events
)

// transitions says to which phase an event leads. Without an entry the event changes nothing.
var transitions = [phases][events]phase{
	delayed:  {eventDue: enlisted},
	blocked:  {eventUnblocked: enlisted},
	enlisted: {eventTurn: choosing, eventBlocked: blocked, eventDropped: delayed},
	choosing: {eventChosen: queued, eventFailed: notifying, eventDropped: delayed},
	queued:   {eventRechoose: enlisted, eventDial: connecting},
	connecting: {
		eventConnected: up,
		eventFailed:    notifying,
		eventCut:       delayed,
	},
	up: {
		eventFailed: notifying,
		eventCut:    delayed,
	},
	notifying: {eventNotified: delayed},
}

// settled says to which phase an intent leads at once, where nothing has to be waited for.
var settled = [phases][intents]phase{
	delayed: {hurry: enlisted, giveUp: stopped, stop: stopped, leave: gone},
	blocked: {stop: stopped, leave: gone},
	queued:  {stop: stopped, leave: gone},
	stopped: {hurry: enlisted, leave: gone},
}

// A wish is what the application asks of a slot.
type wish uint8

const (
	wishRetry  wish = iota // Retry or Reconnect was called
	wishResume             // Resume was called
	wishStop               // Stop or Shutdown was called
	wishLeave              // Remove or Abort was called
	wishes
)

// wished says which intent a wish leads to. Without an entry the wish changes nothing.
var wished = [wishes][intents]intent{
	wishRetry:  {goOn: hurry, giveUp: hurry},
	wishResume: {giveUp: hurry, stop: hurry},
	wishStop:   {goOn: stop, hurry: stop, giveUp: stop},
	wishLeave:  {goOn: leave, hurry: leave, giveUp: leave, stop: leave},
}

// handleLocked changes the phase, and reports whether the event does.
func (s *Slot) handleLocked(e event) bool { return s.handleWithLocked(e, s.intent) }

// handleWithLocked is handleLocked, and changes the intent in the same step if the event changes the
// phase.
func (s *Slot) handleWithLocked(e event, i intent) bool {
	next := transitions[s.phase][e]
	if next == noPhase {
		return false
	}
	s.moveLocked(next, i)
	return true
}

// wishLocked changes the intent, and reports whether the wish does.
func (s *Slot) wishLocked(w wish) bool {
	next := wished[w][s.intent]
	if next == noIntent {
		return false
	}
	s.moveLocked(s.phase, next)
	return true
}

// moveLocked changes the phase and the intent, and goes where the intent leads from there.
func (s *Slot) moveLocked(p phase, i intent) {
	from := countedAs(s.phase, s.intent)
	before := s.phase
	s.phase, s.intent = p, i
	if next := settled[p][i]; next != noPhase {
		s.phase = next
	}
	if to := countedAs(s.phase, s.intent); from != to {
		s.group.countState(from, to)
	}
	if s.phase == before {
		return
	}
	switch s.phase {
	case enlisted:
		s.due = 0
		s.group.enqueue(s)
	case stopped, gone:
		s.due = 0
	}
}

// countedAs returns the state of a slot for Group.inState: those that have been removed are counted
// by themselves.
func countedAs(p phase, i intent) State {
	if i == leave {
		return ending
	}
	return stateOf(p, i)
}

// onWayDownLocked reports whether the attempt or connection that there is ends because of the
// intent.
func (s *Slot) onWayDownLocked() bool {
	return s.intent >= stop || s.intent == hurry && (s.phase == connecting || s.phase == up)
}

// endedLocked reports whether the slot was removed and no function of Options is called for it any
// more.
func (s *Slot) endedLocked() bool { return s.phase == gone && s.calls == 0 }
