package report

import (
	"maps"
	"slices"
	"strings"

	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// A Stage is a part of the time, at whose end there are so many connections.
type Stage struct {
	Name    string  `json:"name"`
	To      int     `json:"to"` // in the scenario; -n may have changed it in proportion
	Seconds float64 `json:"seconds"`
}

// opensAtOnce reports whether all connections are opened before messages are exchanged, so that what that
// takes can be measured.
func (r *Report) opensAtOnce() bool { return r.Cluster == nil && len(r.Stages) == 0 }

// atMost says what the number of connections is if it changes.
func (r *Report) atMost() string {
	if len(r.Stages) > 0 {
		return " at most"
	}
	return ""
}

// addScenario adds what counts as an answer, where messages say when they were sent, and the messages that
// were counted by name.
func (r *Report) addScenario(add adder) {
	if len(r.Answers) > 0 {
		add("an answer is", "%s", strings.Join(r.Answers, ", or "))
	}
	if r.PushedTime != "" {
		add("time of sending", "%s", r.PushedTime)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Counted)) {
		add("  "+name, "%s", console.Grouped(r.Counted[name]))
	}
}
