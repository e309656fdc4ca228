package loadgen

import (
	"testing"

	"github.com/seed004e8d11/websock"
)

func TestTheFirstErrorOfAKindIsHarmlessOnATerminal(t *testing.T) {
	err := &websock.CloseError{Code: websock.CloseGoingAway, Reason: "\x1b[2Jbye\nerrors\t0"}
	if got, want := oneLine(err), `websock: closed by the peer: 1001 (going away): \x1b[2Jbye\nerrors\t0`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
