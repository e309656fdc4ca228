package live

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/clipperhouse/displaywidth"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

var update = flag.Bool("update", false, "write the screens in testdata")

var scripts = map[string]script{"exchanging": exchanging, "clustered": clustered, "starting": starting, "pushed": pushed}

func TestScreens(t *testing.T) {
	for name, script := range scripts {
		for _, size := range [][2]int{{80, 24}, {160, 50}, {40, 10}} {
			s := play(script)
			got := s.render(size[0], size[1]).String()
			file := filepath.Join("testdata", fmt.Sprintf("%s-%dx%d.txt", name, size[0], size[1]))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			if want, err := os.ReadFile(file); err != nil || got != string(want) {
				t.Errorf("%s: got\n%swant\n%s%v", file, got, want, err)
			}
		}
	}
}

// strangeState returns a state in which anything may be large, negative or text from others.
func strangeState(r *rand.Rand) state {
	texts := []string{"", "short", strings.Repeat("long ", 100), "世界世界世界世界世界世界", "🙂👨‍👩‍👧e\u0301\u0301\u0301", "\x1b[2J\r\a\x00\u202e\xff", "two\nlines\tand tabs"}
	text := func() string { return texts[r.IntN(len(texts))] }
	number := func() int64 { return r.Int64N(1<<uint(1+r.IntN(50))) - 1 }
	texts = append(texts, strings.Repeat("e\u0301", 50), "a"+strings.Repeat("\u0301", 1000))
	s := state{Options: &Options{
		Command: "websock fanout", Servers: []string{text(), text()}, Details: []string{text(), text()},
		Connections: int(number()), Lasts: map[string]time.Duration{"short": time.Duration(number())},
	}, elapsed: time.Duration(number()), inPhase: time.Duration(number()), ending: r.IntN(2) == 0}
	s.Phase = text()
	for _, n := range []*int64{&s.Asked, &s.Waiting, &s.Connecting, &s.Up, &s.Ended, &s.Sessions, &s.Streams, &s.Due, &s.Unsent, &s.Sent,
		&s.Received, &s.Errors, &s.Reconnects, &s.Cluster.Members, &s.Cluster.Up, &s.Cluster.Held, &s.Cluster.HeldByAll} {
		*n = number()
	}
	s.ErrorsByKind = map[string]int64{}
	for range r.IntN(20) {
		s.ErrorsByKind[text()+fmt.Sprint(r.Int())] = number()
	}
	for range r.IntN(maxWidth * perSecond) {
		s.history.add(point{float64(number()), float64(number()), time.Duration(number()), time.Duration(number())})
	}
	for range r.IntN(12) {
		s.log = append(s.log, oneLine(text()))
	}
	s.rates = rates{sent: float64(number()), due: float64(number()), sentBytes: float64(number()), latency: quantiles{1, time.Duration(number()), time.Duration(number())}}
	return s
}

func TestNoScreenIsLargerThanTheTerminal(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 0))
		s := strangeState(r)
		width, height := r.IntN(301), r.IntN(101)
		if seed%4 == 0 {
			width, height = r.IntN(50), r.IntN(12)
		}
		text := s.render(width, height).String()
		if n := strings.Count(text, "\n"); n != height {
			t.Fatalf("seed %d, %dx%d: %d lines", seed, width, height, n)
		}
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if w := displaywidth.String(line); w > width {
				t.Fatalf("seed %d, %dx%d: a line of %d columns: %q", seed, width, height, w, line)
			}
			for _, char := range line {
				if char < ' ' || char == '\x7f' || char == '\u202e' {
					t.Fatalf("seed %d: a character that is not harmless in %q", seed, line)
				}
			}
		}
	}
}

func TestTheMostImportantStaysOnASmallScreen(t *testing.T) {
	s := play(clustered)
	for height, want := range map[int][]string{
		1: {"exchanging"},
		3: {"exchanging", "connections", "up"},
		5: {"exchanging", "connections", "sent", "received"},
		7: {"exchanging", "connections", "sent", "received", "latency p50", "latency p99"},
		8: {"exchanging", "connections", "sent", "received", "latency p50", "latency p99", "errors"},
	} {
		got := s.render(80, height).String()
		for _, text := range want {
			if !strings.Contains(got, text) {
				t.Errorf("no %q in %d lines:\n%s", text, height, got)
			}
		}
	}
}

func TestKindsOfErrorsThatHaveNoLineShareTheLastOne(t *testing.T) {
	s := state{Options: &Options{}, Snapshot: measure.Snapshot{Errors: 10, ErrorsByKind: map[string]int64{"a": 1, "b": 2, "c": 3, "d": 4}}}
	c := newCanvas(80, 2)
	s.drawErrors(c.all())
	want := "" +
		" errors              10  4 d\n" +
		"                         3 c, 2 b, 1 a\n"
	if got := c.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestProgressOfPhases(t *testing.T) {
	lasts := map[string]time.Duration{"exchanging": time.Minute}
	for _, test := range []struct {
		phase   string
		inPhase time.Duration
		up      int64
		done    float64
		left    time.Duration
		known   bool
	}{
		{"exchanging", 15 * time.Second, 0, 0.25, 45 * time.Second, true},
		{"exchanging", 90 * time.Second, 0, 1, 0, true},
		{"dialing", 10 * time.Second, 250, 0.25, 30 * time.Second, true},
		{"dialing", 10 * time.Second, 0, 0, 0, true},
		{"dialing", 10 * time.Second, 2000, 1, 0, true},
		{"draining", 10 * time.Second, 0, 0, 0, false},
	} {
		s := state{Options: &Options{Lasts: lasts}, Snapshot: measure.Snapshot{Phase: test.phase, Asked: 1000, Up: test.up}, inPhase: test.inPhase}
		if done, left, known := s.progress(); done != test.done || left != test.left || known != test.known {
			t.Errorf("%+v: %v, %v, %v", test, done, left, known)
		}
	}
}

func TestEveryCharacterOfTheScreenHasOneInASCII(t *testing.T) {
	missing := map[rune]bool{}
	for _, script := range scripts {
		s := play(script)
		for _, size := range [][2]int{{80, 24}, {160, 50}, {40, 10}} {
			for _, char := range s.render(size[0], size[1]).String() {
				isOthers := unicode.Is(unicode.Han, char)
				if char > 0x7f && !isOthers && plainChars[char] == "" {
					missing[char] = true
				}
			}
		}
	}
	if len(missing) > 0 {
		t.Errorf("%q", slices.Collect(maps.Keys(missing)))
	}
	for _, char := range eighths[1:] {
		if plainChars[[]rune(char)[0]] == "" {
			t.Errorf("%s", char)
		}
	}
}

func TestOneHTTP2ConnectionIsOne(t *testing.T) {
	for sessions, want := range map[int64]string{
		1: " HTTP/2               1  connection for 100 WebSockets\n",
		2: " HTTP/2               2  connections for 100 WebSockets\n",
	} {
		s := state{Snapshot: measure.Snapshot{Sessions: sessions, Streams: 100}}
		c := newCanvas(80, 1)
		s.drawSessions(c.all())
		if got := c.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
