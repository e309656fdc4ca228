package machine

import (
	"slices"
	"testing"
)

func TestStatesHaveNames(t *testing.T) {
	for s := Joining; s <= Left; s++ {
		if states[s].name == "" || s.String() != states[s].name {
			t.Errorf("state %d is called %q", s, s)
		}
	}
	for s := Foreign; s <= Closing; s++ {
		if s.String() == "unknown" {
			t.Errorf("state %d has no name", s)
		}
	}
	for k := Joined; k <= WatchDeaf; k++ {
		if k.String() == "unknown" {
			t.Errorf("event %d has no name", k)
		}
	}
	if (Left+1).String() != "unknown" || (Closing+1).String() != "unknown" || (WatchDeaf+1).String() != "unknown" {
		t.Error("what is no state has a name")
	}
}

func TestEveryStateLeadsToLeft(t *testing.T) {
	reached := []State{Left}
	for grown := true; grown; {
		grown = false
		for s := range states {
			if s := State(s); !slices.Contains(reached, s) && slices.ContainsFunc(states[s].next, func(next State) bool { return slices.Contains(reached, next) }) {
				reached, grown = append(reached, s), true
			}
		}
	}
	if len(reached) != len(states) {
		t.Errorf("only %v lead there", reached)
	}
	if len(states[Left].next) != 0 {
		t.Error("something follows Left")
	}
}
