package loadgen

import (
	"fmt"
	"testing"

	"github.com/seed004e8d11/websock"
)

func TestTheFirstErrorOfAKindIsHarmlessOnATerminal(t *testing.T) {
	err := &websock.CloseError{Code: websock.CloseGoingAway, Reason: "\x1b[2Jbye\nerrors\t0"}
	if got, want := oneLine(err), `websock: closed by the peer: 1001 (going away): \x1b[2Jbye\nerrors\t0`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAServerCannotMakeKindsOfFailuresWithoutEnd(t *testing.T) {
	f := newFailures()
	for code := range 5000 {
		f.add(fmt.Sprint("close code ", code), 1, nil)
		f.add("close code 0", 1, nil)
	}
	if counts, total := f.soFar(); len(counts) > maxKinds+1 || total != 10_000 || counts["close code 0"] != 5001 || counts[otherKinds] == 0 {
		t.Errorf("%d kinds, %d failures: %v", len(counts), total, counts)
	}
}
