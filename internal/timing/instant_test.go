package timing

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestInstantsAreTimes(t *testing.T) {
	for _, at := range []time.Time{time.Now(), time.Now().Add(time.Hour), time.Now().Add(-time.Nanosecond)} {
		if got := InstantOf(at).Time(); !got.Equal(at) {
			t.Errorf("%v became %v", at, got)
		}
	}
	if InstantOf(time.Time{}) != 0 || !Instant(0).Time().IsZero() {
		t.Error("the zero time is not 0")
	}
	if InstantOf(time.Unix(-1, 0)) != 1 {
		t.Error("a time before all Instants is none")
	}
}

func TestInstantsAreTimesInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := InstantOf(time.Now().Add(time.Second))
		if at.Passed() {
			t.Error("a second has passed at once")
		}
		time.Sleep(time.Second)
		if !at.Passed() || Now() != at || !at.Time().Equal(time.Now()) {
			t.Errorf("a second later it is %d, not %d", Now(), at)
		}
	})
}

func TestNoTimeHasNotPassed(t *testing.T) {
	for at, want := range map[Instant]bool{0: false, 1: true, Now(): true, Now() + Instant(time.Hour): false} {
		if at.Passed() != want {
			t.Errorf("%v has passed: %v", at, !want)
		}
	}
}
