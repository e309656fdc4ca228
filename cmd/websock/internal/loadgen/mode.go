package loadgen

import (
	"fmt"
	"strings"

	"github.com/seed004e8d11/websock/cmd/websock/internal/report"
)

// A Mode says what connections do with messages.
type Mode int

// The modes.
const (
	Echo    Mode = iota // send, and expect an echo of each message
	Receive             // only receive
	Send                // send, and expect no answer
)

var modeNames = [...]string{Echo: report.ModeEcho, Receive: report.ModeReceive, Send: report.ModeSend}

func (m Mode) String() string { return modeNames[m] }

// ModeNames returns the names of all modes.
func ModeNames() []string { return modeNames[:] }

// Set sets the mode to that with a name. It implements flag.Value.
func (m *Mode) Set(name string) error {
	for mode, other := range modeNames {
		if other == name {
			*m = Mode(mode)
			return nil
		}
	}
	return fmt.Errorf("there is no mode %q; there is: %s", name, strings.Join(ModeNames(), ", "))
}
