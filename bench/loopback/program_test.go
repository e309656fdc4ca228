//go:build linux

package loopback

import (
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/bench/client"
)

// openLab opens a lab that is closed when this process ends.
var openLab = sync.OnceValues(func() (*Lab, error) { return Open(true) })

// short is long enough for a figure of some kind, even if a busy machine lets a program wait for some of it.
var short = Timing{Warmup: time.Millisecond, Window: 100 * time.Millisecond}

// exchanges are cases of every kind in which messages are exchanged.
var exchanges = []Case{
	{Kind: Echo, Conns: 3, Window: 1},
	{Kind: Echo, Conns: 3, Window: 1, Secure: true},
	{Kind: Echo, Conns: 3, Window: 1, Size: 64 << 10},
	{Kind: Echo, Conns: 3, Window: 1, Size: 1 << 10, Compression: client.Takeover},
	{Kind: Echo, Conns: 3, Window: 1, Size: 16 << 10, Compression: client.Fresh},
	{Kind: Pipelined, Conns: 3, Window: 4},
	{Kind: Broadcast, Conns: 3},
}

func TestProgramsDoEveryKindOfWork(t *testing.T) {
	lab, err := openLab()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range append(slices.Clip(exchanges),
		Case{Kind: Broadcast, Conns: 3, Secure: true},
		Case{Kind: Idle, Conns: 100},
		Case{Kind: Idle, Conns: 100, Secure: true},
		Case{Kind: Dial, Conns: 50},
		Case{Kind: Dial, Conns: 50, Secure: true}) {
		t.Run(c.String(), func(t *testing.T) {
			program, err := c.Find("outside-gws")
			if err != nil {
				t.Fatal(err)
			}
			r, err := lab.Run(program, c, short)
			if err != nil {
				t.Fatal(err)
			}
			if c.Kind == Idle {
				if r.BytesPerConn < 100 || r.BytesPerConn > 1<<20 {
					t.Errorf("%.0f bytes for a connection", r.BytesPerConn)
				}
			} else if r.Messages <= 0 || r.CPU <= 0 || r.Time <= 0 {
				t.Errorf("%+v", r.Cost)
			}
			if c.hasTurnaround() && !c.compresses() && r.Turnaround.P50 <= 0 {
				t.Errorf("turnaround %+v", r.Turnaround)
			}
			if c.compresses() && (r.Sent < 10 || r.Sent > 0.8*float64(c.Size)) {
				t.Errorf("%.0f bytes of %d are sent", r.Sent, c.Size)
			}
			for _, f := range c.Figures() {
				known := !math.IsNaN(f.Of(r))
				if unseen := slices.Contains([]string{"allocs/msg", "allocs/conn", "goroutines/conn", "timers/conn"}, f.Unit); known == unseen {
					t.Errorf("%s: known %v", f.Unit, known)
				}
			}
		})
	}
}

func TestProgramsTakeTurnsWithClientsInGo(t *testing.T) {
	lab, err := openLab()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Case{{Kind: Echo, Conns: 3, Window: 1}, {Kind: Broadcast, Conns: 3}} {
		contestants := []Contestant{{Name: "raw"}, misbehaving("fails")}
		for _, name := range []string{"outside-raw", "outside-gws"} {
			one, err := c.Find(name)
			if err != nil {
				t.Fatal(err)
			}
			contestants = append(contestants, one)
		}
		results, errs := lab.RunSliced(contestants, c, short, time.Millisecond)
		for i, one := range contestants {
			switch {
			case one.Name == "fails":
				if errs[i] == nil {
					t.Errorf("%v: a program that fails has a result", c)
				}
			case errs[i] != nil || results[i].Messages <= 0 || results[i].CPU <= 0:
				t.Errorf("%v, %s: %d messages, %v, %v", c, one.Name, results[i].Messages, results[i].CPU, errs[i])
			}
		}
	}
}

func TestProgramThatMisbehavesIsAnError(t *testing.T) {
	lab, err := openLab()
	if err != nil {
		t.Fatal(err)
	}
	for how, want := range map[string]string{
		"fails":          "no route to the moon",
		"can't compress": "can't compress",
		"hangs":          "didn't answer",
		"babbles":        `"hello" in place of "opened"`,
		"opens nothing":  "didn't answer",
	} {
		t.Run(how, func(t *testing.T) {
			c := Case{Kind: Echo, Conns: 1, Window: 1}
			task := lab.task(how, c, short)
			if want == "didn't answer" {
				task.Limit = 200 * time.Millisecond
			}
			r, err := lab.play(misbehaving(how), task)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v, %v, want %q", r, err, want)
			}
			if leftOut := errors.Is(err, ErrLeftOut); leftOut != (how == "can't compress") {
				t.Errorf("left out: %v", leftOut)
			}
		})
	}
}

func TestProgramThatIsCompiledLateOpensMoreConnectionsBefore(t *testing.T) {
	lab, err := openLab()
	if err != nil {
		t.Fatal(err)
	}
	for language, want := range map[string]string{"C": "open 32", "Java": "open 82"} {
		c := misbehaving("repeats the first line")
		c.Language = language
		if _, err := lab.Run(c, Case{Kind: Dial, Conns: 50}, Timing{}); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", language, err, want)
		}
	}
}

func TestClientInGoThatCannotCompressIsLeftOut(t *testing.T) {
	lab, err := openLab()
	if err != nil {
		t.Fatal(err)
	}
	c := Case{Kind: Echo, Conns: 1, Window: 1, Size: 1 << 10, Compression: client.Takeover}
	for name, can := range map[string]bool{"gorilla": false, "gobwas": false, "coder": true} {
		r, err := lab.Run(Contestant{Name: name}, c, short)
		if leftOut := errors.Is(err, ErrLeftOut); leftOut == can || can && err != nil {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestContestantThatIsLeftOutHasNoRow(t *testing.T) {
	c := Case{Kind: Echo, Conns: 1, Window: 1}
	table := NewTable(c, []Contestant{{Name: "here"}, {Name: "gone"}})
	table.add(make([]Result, 2), []error{nil, ErrLeftOut})
	if rows := len(table.Cells()); rows != 2 {
		t.Errorf("%d lines, want that of headings and one more", rows)
	}
	var out strings.Builder
	table.Print(&out)
	if !strings.Contains(out.String(), "gone is left out") {
		t.Error(out.String())
	}
}

func TestOthersThatAreNotBuiltAreNamed(t *testing.T) {
	for _, server := range []bool{false, true} {
		found, leftOut := Case{Kind: Echo, Server: server}.Others(t.TempDir())
		if len(found) > 0 || len(leftOut) == 0 {
			t.Errorf("server %v: %v, %q", server, found, leftOut)
		}
		for _, why := range leftOut {
			if !strings.Contains(why, "make others (needs ") {
				t.Errorf("%q", why)
			}
		}
	}
}
