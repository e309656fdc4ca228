package faults

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of results")

const tableFile = "../../docs/faults.md"

// TestFaults runs every fault with every setting and compares the outcomes with the table.
func TestFaults(t *testing.T) {
	warmUp(t)
	var table strings.Builder
	table.WriteString(preamble)
	tabulate(t, &table, faults, false)
	table.WriteString(http2Preamble)
	tabulate(t, &table, http2Faults, true)
	if *update {
		if err := os.WriteFile(tableFile, []byte(table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	documented, err := os.ReadFile(tableFile)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, strings.Split(table.String(), "\n"), strings.Split(string(documented), "\n"))
}

// tabulate runs faults, and writes a row for each outcome.
func tabulate(t *testing.T, table *strings.Builder, faults []fault, http2 bool) {
	for _, f := range faults {
		t.Run(f.what, func(t *testing.T) {
			results := map[outcome][]setting{}
			var order []outcome
			for _, s := range settings(http2) {
				o := try(t, f, s)
				if results[o] == nil {
					order = append(order, o)
				}
				results[o] = append(results[o], s)
			}
			for _, o := range order {
				row := []string{f.what, where(results[o]), o.err, o.sent, o.noticed, fmt.Sprintf("< %d MiB", f.mebibytes()), o.left}
				fmt.Fprintf(table, "| %s |\n", strings.Join(row, " | "))
			}
		})
	}
}

// warmUp starts goroutines that live as long as the process.
func warmUp(t *testing.T) {
	for _, s := range settings(false) {
		try(t, faults[0], s)
	}
	for _, s := range settings(true) {
		try(t, http2Faults[0], s)
	}
}

func compare(t *testing.T, got, want []string) {
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("not in %s: %s", tableFile, line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("no longer true: %s", line)
		}
	}
}

// where describes settings in few words.
func where(some []setting) string {
	var parts []string
	covered := map[setting]bool{}
	for _, transport := range append([]string{""}, transports...) {
		for _, mode := range append([]string{""}, modes...) {
			for _, scheme := range append([]string{""}, schemes...) {
				group := with(some[0].http2, transport, mode, scheme)
				if contains(some, group) && !allCovered(covered, group) {
					parts = append(parts, words(transport, mode, scheme))
					for _, s := range group {
						covered[s] = true
					}
				}
			}
		}
	}
	return strings.Join(parts, "; ")
}

// with returns the settings with these properties; "" is any.
func with(http2 bool, transport, mode, scheme string) (group []setting) {
	for _, s := range settings(http2) {
		if (transport == "" || s.transport == transport) && (mode == "" || s.mode == mode) && (scheme == "" || s.scheme == scheme) {
			group = append(group, s)
		}
	}
	return group
}

func contains(some, group []setting) bool {
	return !slices.ContainsFunc(group, func(s setting) bool { return !slices.Contains(some, s) })
}

func allCovered(covered map[setting]bool, group []setting) bool {
	return !slices.ContainsFunc(group, func(s setting) bool { return !covered[s] })
}

func words(properties ...string) string {
	properties = slices.DeleteFunc(properties, func(p string) bool { return p == "" })
	if len(properties) == 0 {
		return "all"
	}
	return strings.Join(properties, " ")
}

const preamble = `# Faults

How a client reacts to networks and servers that misbehave. A test injects each fault with a
proxy between real sockets. The client runs over ` + "`transport/std`" + ` and over ` + "`transport/epoll`" + `,
with ` + "`Recv`" + ` (pull) and with a Handler (push), over ws and over wss. The test compares the
outcome with this table, and writes the table:

	go test ./internal/faults -update

- **Error**: the type, close code and causes of the error that the current call returns, or
  that OnClose gets. Every client calls ` + "`Close`" + ` at the end, as every program must; if that
  returns another error, it follows.
- **Close code**: the code in the close frame that the client sent; – if it sent none.
- **Noticed**: when the client noticed, at once or at the named deadline. All other deadlines
  were too long to matter.
- **Memory**: an upper bound of the growth of the heap, server and proxy included.
- **Left**: goroutines and descriptors that remained at the end.

| The server, or the network | With | Error | Close code | Noticed | Memory | Left |
|---|---|---|---|---|---|---|
`

const http2Preamble = `
## HTTP/2

The same for a WebSocket that is a stream of HTTP/2, the only one of its connection: with
` + "`Config.Mux`" + `, over h2c and over TLS.

| The server, or the network | With | Error | Close code | Noticed | Memory | Left |
|---|---|---|---|---|---|---|
`
