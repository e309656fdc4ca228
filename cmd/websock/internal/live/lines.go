package live

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

// between is the longest time between two plain lines.
const between = 5 * time.Second

// Lines tell of a run in plain lines.
type lines struct {
	options *Options
	told    bool
	last    measure.Sample // that was told
}

// add returns a line about a sample, or "" if it is not time for one yet: there is one at each change of
// the phase, and when there was none for a while.
func (l *lines) add(now measure.Sample) string {
	if l.told && now.Phase == l.last.Phase && now.At-l.last.At < between {
		return ""
	}
	r := ratesBetween(l.last, now)
	l.told, l.last = true, now
	s := state{Options: l.options, Snapshot: now.Snapshot}
	text := []string{fmt.Sprintf("%s of %s up", console.Grouped(now.Up), console.Grouped(s.asked()))}
	add := func(format string, args ...any) { text = append(text, fmt.Sprintf(format, args...)) }
	if c := now.Cluster; c.Members > 0 {
		add("%s of %s by %s %s", console.Grouped(c.Up), console.Grouped(l.options.Connections), console.Grouped(c.Members), membersWord(c.Members))
	}
	if r.sent > 0 || r.received > 0 {
		add("%s sent", rateText(r.sent))
		add("%s received", rateText(r.received))
	}
	for _, times := range []struct {
		of string
		quantiles
	}{{"latency", r.latency}, {"one-way", r.oneWay}, {"lateness", r.lateness}} {
		if times.n > 0 {
			add("%s p50 %s p99 %s", times.of, timeText(times.p50), timeText(times.p99))
		}
	}
	if now.Reconnects > 0 {
		add("%s reconnected", console.Grouped(now.Reconnects))
	}
	add("%s errors", console.Grouped(now.Errors))
	return fmt.Sprintf("%s %s: %s", clock(now.At), oneLine(now.Phase), strings.Join(text, ", "))
}
