package report

import (
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/fanout/cluster"
)

// summarize says in a line how a cluster is.
func summarize(s *cluster.Status) string {
	keys, up := 0, 0
	for i := range s.Members {
		keys += s.Members[i].Keys
		up += s.Members[i].Up
	}
	text := fmt.Sprintf("%s, %s of %s keys up, %s partitions", plural(len(s.Members), "member"),
		console.Grouped(up), console.Grouped(keys), console.Grouped(s.Partitions))
	if s.Free > 0 {
		text += fmt.Sprintf(", %d of them held by nobody", s.Free)
	}
	if s.Moving > 0 {
		text += fmt.Sprintf(", %d to move", s.Moving)
	}
	return text
}

// memberColumns are the titles of the table of members.
var memberColumns = []string{"member", "weight", "partitions", "wants", "keys", "up", "rate", "opened", "moves", "losses"}

// memberCells returns a line of the table of members.
func memberCells(m *cluster.MemberStatus) []string {
	name := m.ID
	if m.Leaving {
		name += " (leaving)"
	}
	return []string{
		name, strconv.FormatFloat(m.Weight, 'g', -1, 64), console.Grouped(m.Partitions), console.Grouped(len(m.Wants)),
		console.Grouped(m.Keys), console.Grouped(m.Up), console.Grouped(m.Rate) + "/s", console.Grouped(float64(m.Opened)),
		console.Grouped(float64(m.Moves)), console.Grouped(float64(m.Losses)),
	}
}

// WriteClusterStatus writes a summary, and a line for each member, for people.
func WriteClusterStatus(w io.Writer, s *cluster.Status) error {
	if _, err := fmt.Fprintf(w, "cluster %s: %s, lease %v\n", s.Name, summarize(s), s.Lease); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	line := func(cells []string) {
		for i, cell := range cells {
			if i > 0 {
				io.WriteString(t, "\t")
			}
			io.WriteString(t, cell)
		}
		io.WriteString(t, "\n")
	}
	line(memberColumns)
	for i := range s.Members {
		line(memberCells(&s.Members[i]))
	}
	return t.Flush()
}

// A Cluster is what a Report says of the cluster of which the process was a member.
type Cluster struct {
	Member     string          `json:"member"`   // ID
	Status     *cluster.Status `json:"status"`   // at the end of the exchange; nil: it could not be read
	Held       int             `json:"held"`     // partitions at that time
	Claimed    uint64          `json:"claimed"`  // partitions that nobody held
	Received   uint64          `json:"received"` // partitions from other members
	HandedOver uint64          `json:"handed_over"`
	Ended      uint64          `json:"ended_members"`
	Takeover   TakeoverTimes   `json:"takeover_ms"` // of partitions that nobody held
	Losses     uint64          `json:"losses"`      // sessions
	Renewals   uint64          `json:"renewals"`    // of the lease
	Failures   uint64          `json:"renewal_failures"`
	Leaving    float64         `json:"leaving_seconds"`
	Left       bool            `json:"left"` // it handed over all that it held, in time
}

// TakeoverTimes are upper bounds, in milliseconds, of the time from the moment at which this member saw
// that nobody holds a partition until it had tried to connect all of its keys.
type TakeoverTimes struct {
	P50 int64 `json:"p50"`
	P99 int64 `json:"p99"`
}

// SetStats fills in what the member counts.
func (c *Cluster) SetStats(s *cluster.Stats) {
	c.Held, c.Claimed, c.Received, c.HandedOver, c.Losses, c.Ended = s.Held, s.Claimed, s.Received, s.HandedOver, s.Losses, s.Ended
	c.Renewals, c.Failures = s.Renewals.Done, s.Renewals.Failed
	c.Takeover = TakeoverTimes{s.Takeover.Quantile(0.5).Milliseconds(), s.Takeover.Quantile(0.99).Milliseconds()}
}

// succeeded reports whether the member kept its session, and handed everything over.
func (c *Cluster) succeeded() bool { return c.Losses == 0 && c.Left }

// addRows adds the lines of the table that are about the cluster.
func (c *Cluster) addRows(add func(label, format string, args ...any)) {
	if c.Status != nil {
		add("cluster", "%s: %s", c.Status.Name, summarize(c.Status))
	}
	add("member", "%s, %s", c.Member, plural(c.Held, "partition"))
	add("partitions claimed", "%s", c.claims())
	add("partitions received", "%s from other members", console.Grouped(float64(c.Received)))
	add("partitions handed over", "%s", console.Grouped(float64(c.HandedOver)))
	add("other members ended", "%s", console.Grouped(float64(c.Ended)))
	add("sessions lost", "%s", console.Grouped(float64(c.Losses)))
	add("renewals of the lease", "%s, %s failed", console.Grouped(float64(c.Renewals)), console.Grouped(float64(c.Failures)))
	add("left", "%s", c.departure())
}

// claims says how many partitions the member has claimed, and how soon their keys had been tried.
func (c *Cluster) claims() string {
	if c.Claimed == 0 {
		return "0"
	}
	return fmt.Sprintf("%s that nobody held, half of them within %v, 99 %% within %v",
		console.Grouped(float64(c.Claimed)), milliseconds(c.Takeover.P50), milliseconds(c.Takeover.P99))
}

func (c *Cluster) departure() string {
	if c.Left {
		return fmt.Sprintf("in order, in %.1f s", c.Leaving)
	}
	return fmt.Sprintf("after %.1f s, with keys that no other member had taken over", c.Leaving)
}

func milliseconds(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// plural returns a number and what it counts.
func plural(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return console.Grouped(n) + " " + of + "s"
}
