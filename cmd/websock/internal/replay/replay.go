// Package replay plays recordings of WebSocket connections: as a client, which sends what the recorded client
// sent, or as a server. It can compare what it receives with the recording.
package replay

import (
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/connect"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/cmd/websock/internal/record"
)

// Options are how a recording is played.
type Options struct {
	File    *record.File
	Speed   float64          // of the time; 0: no waiting
	InOrder bool             // before sending, receive as many messages as the recording has before
	Check   bool             // compare what is received
	Ignore  []*regexp.Regexp // parts of messages that are not compared
	Count   int              // how often; 0: until an interrupt
	Wait    time.Duration    // without a message, after which one of the recording isn't waited for anymore
}

// A Result is what a client has done.
type Result struct {
	Outcome connect.Outcome // of the connection that was opened last
	Failed  bool            // it was not as recorded: not all was sent, or Options.Check found a difference
}

// due returns when something that is at a time of the recording is due.
func (o *Options) due(begin time.Time, at time.Duration) time.Time {
	if o.Speed == 0 {
		return begin
	}
	return begin.Add(time.Duration(min(float64(at)/o.Speed, math.MaxInt64/2)))
}

// A played connection is what one was like.
type played struct {
	sent, received, expected int64
	differences              int
	unlike                   error // why it is not as recorded, apart from what was received
	err                      error // how it has ended; nil: we have closed it
	took                     time.Duration
}

// print prints a line about a connection. Who is its other end, or "".
func (p *played) print(out io.Writer, who string, check bool) {
	var b strings.Builder
	fmt.Fprintf(&b, "%ssent %s, received %s of %s messages in %v", who, console.Grouped(p.sent), console.Grouped(p.received), console.Grouped(p.expected), p.took.Round(time.Millisecond))
	switch {
	case check && p.differences == 0:
		b.WriteString(", no differences")
	case check:
		fmt.Fprintf(&b, ", %s different", console.Grouped(p.differences))
	}
	if p.unlike != nil {
		fmt.Fprintf(&b, "; %v", p.unlike)
	}
	if p.err != nil {
		fmt.Fprintf(&b, "; %s", console.Printable([]byte(console.ErrorText(p.err))))
	}
	b.WriteByte('\n')
	io.WriteString(out, b.String())
}
