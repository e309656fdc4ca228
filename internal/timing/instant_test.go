package timing

import (
	"testing"
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
	if InstantOf(time.Now().Add(-365*24*time.Hour)) != 1 {
		t.Error("a time before the process is none")
	}
}

func TestNoTimeHasNotPassed(t *testing.T) {
	for at, want := range map[Instant]bool{0: false, 1: true, Now(): true, Now() + Instant(time.Hour): false} {
		if at.Passed() != want {
			t.Errorf("%v has passed: %v", at, !want)
		}
	}
}
