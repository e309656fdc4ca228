//go:build linux && amd64

package guard

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/bench/memory"
)

var update = flag.Bool("update", false, "write the figures instead of comparing them")

const (
	// tolerance is the allowed increase in instructions: other versions of Go compile the same
	// code to others.
	tolerance = 0.15

	figuresFile = "figures.json"
)

// A work is one way to send or receive a message.
type work struct {
	name, contestant string
	op               websock.Opcode
	size             int
	do               func(memory.Client) error
}

var works = []work{
	{"receive a view", "websock-decoder", websock.OpBinary, 125, memory.Client.Receive},
	{"receive by handler", "websock-handler", websock.OpBinary, 125, memory.Client.Receive},
	{"receive into a buffer", "websock-buffer", websock.OpBinary, 125, memory.Client.Receive},
	{"receive into a buffer, 64 KiB", "websock-buffer", websock.OpBinary, 64 << 10, memory.Client.Receive},
	{"receive a message", "websock-message", websock.OpBinary, 125, memory.Client.Receive},
	{"receive text", "websock-buffer", websock.OpText, 125, memory.Client.Receive},
	{"send", "websock-buffer", websock.OpBinary, 125, memory.Client.Send},
	{"send text", "websock-buffer", websock.OpText, 125, memory.Client.Send},
	{"send 64 KiB", "websock-buffer", websock.OpBinary, 64 << 10, memory.Client.Send},
	{"reply by handler", "websock-handler", websock.OpBinary, 125, memory.Client.Reply},
	{"reply by handler, one by one", "websock-handler", websock.OpBinary, 125, memory.Client.Reply},
	{"receive by handler, shared", sharing, websock.OpBinary, 125, memory.Client.Receive},
	{"reply by handler, shared", sharing, websock.OpBinary, 125, memory.Client.Reply},
	{"reply by handler, shared, 64 KiB", sharing, websock.OpBinary, 64 << 10, memory.Client.Reply},
}

// sharing is the contestant whose WebSockets share a connection.
const sharing = "websock-h2"

// prepare returns a function that does the work times times, and its network.
func (w *work) prepare(times int) (func() error, *memory.Network, error) {
	const text = "Grüße! "
	payload := []byte(strings.Repeat(text, w.size/len(text)) + strings.Repeat(".", w.size%len(text)))
	task := memory.Work{Op: w.op, Payload: payload, Times: times}
	if w.contestant == sharing {
		client, network, err := memory.DialStreams(task)
		return func() error { return w.do(client) }, network, err
	}
	network := memory.New(w.op, payload, times, strings.HasSuffix(w.name, "one by one"))
	for _, c := range memory.Contestants {
		if c.Name == w.contestant {
			client, err := c.Dial(network, task)
			return func() error { return w.do(client) }, network, err
		}
	}
	return nil, nil, fmt.Errorf("no contestant is called %q", w.contestant)
}

// figures are the costs of one message.
type figures struct {
	Instructions  float64
	Allocs        float64
	Reads, Writes float64 // calls of the network
}

// TestMain runs only a work if the environment names one: the test binary is also the program whose
// instructions are counted.
func TestMain(m *testing.M) {
	at, err := strconv.Atoi(os.Getenv("WEBSOCK_GUARD_WORK"))
	if err != nil {
		os.Exit(m.Run())
	}
	times, _ := strconv.Atoi(os.Getenv("WEBSOCK_GUARD_TIMES"))
	run, _, err := works[at].prepare(times)
	if err == nil {
		err = run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func TestCostsDoNotIncrease(t *testing.T) {
	if _, err := exec.LookPath("valgrind"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("needs valgrind: apt-get install valgrind")
	}
	known := map[string]figures{}
	if text, err := os.ReadFile(figuresFile); err == nil {
		if err := json.Unmarshal(text, &known); err != nil {
			t.Fatal(err)
		}
	}
	measured := map[string]figures{}
	for i, w := range works {
		f := w.figures(t, i)
		measured[w.name] = f
		before, ok := known[w.name]
		t.Logf("%-30s %6.0f instructions, %.0f allocations, %.2f reads, %.2f writes", w.name, f.Instructions, f.Allocs, f.Reads, f.Writes)
		switch {
		case *update:
		case !ok:
			t.Errorf("%s: %s has no figures", w.name, figuresFile)
		case f.Instructions > before.Instructions*(1+tolerance):
			t.Errorf("%s: %.0f instructions, want at most %.0f", w.name, f.Instructions, before.Instructions)
		case f.Allocs > before.Allocs, f.Reads > before.Reads, f.Writes > before.Writes:
			t.Errorf("%s: %.0f allocations, %.2f reads, %.2f writes, want at most %.0f, %.2f, %.2f",
				w.name, f.Allocs, f.Reads, f.Writes, before.Allocs, before.Reads, before.Writes)
		}
	}
	if *update {
		text, err := json.MarshalIndent(measured, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(figuresFile, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *work) figures(t *testing.T, at int) (f figures) {
	const few, many = 1000, 21000
	f.Instructions = math.Round(float64(instructions(t, at, many)-instructions(t, at, few)) / (many - few))
	run, network, err := w.prepare(many)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := run(); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	f.Allocs = math.Floor(float64(after.Mallocs-before.Mallocs) / many)
	f.Reads = math.Round(float64(network.Reads)/many*100) / 100
	f.Writes = math.Round(float64(network.Writes)/many*100) / 100
	return f
}

var collected = regexp.MustCompile(`Collected : (\d+)`)

// instructions counts the instructions of a process that does a work times times.
func instructions(t *testing.T, at, times int) int64 {
	t.Helper()
	cmd := exec.Command("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", os.Args[0])
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1",
		fmt.Sprintf("WEBSOCK_GUARD_WORK=%d", at), fmt.Sprintf("WEBSOCK_GUARD_TIMES=%d", times))
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	match := collected.FindSubmatch(output)
	if match == nil {
		t.Fatalf("no count in\n%s", output)
	}
	n, err := strconv.ParseInt(string(match[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
