package faultproxy

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

// Every fault, with every setting, has the results that the table says.
func TestFaultsHaveTheResultsThatAreDocumented(t *testing.T) {
	warmUp(t)
	var table strings.Builder
	table.WriteString(preamble)
	for _, f := range faults {
		t.Run(f.what, func(t *testing.T) {
			results := map[outcome][]setting{}
			var order []outcome
			for _, s := range settings() {
				o := try(t, f, s)
				if results[o] == nil {
					order = append(order, o)
				}
				results[o] = append(results[o], s)
			}
			for _, o := range order {
				row := []string{f.what, where(results[o]), o.err, o.sent, o.noticed, fmt.Sprintf("< %d MiB", f.mebibytes()), o.left}
				fmt.Fprintf(&table, "| %s |\n", strings.Join(row, " | "))
			}
		})
	}
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

// warmUp starts what stays for the life of the process.
func warmUp(t *testing.T) {
	for _, s := range settings() {
		try(t, faults[0], s)
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
			t.Errorf("no longer so: %s", line)
		}
	}
}

// where says in few words which settings these are.
func where(some []setting) string {
	var parts []string
	covered := map[setting]bool{}
	for _, transport := range append([]string{""}, transports...) {
		for _, mode := range append([]string{""}, modes...) {
			for _, scheme := range append([]string{""}, schemes...) {
				group := with(transport, mode, scheme)
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
func with(transport, mode, scheme string) (group []setting) {
	for _, s := range settings() {
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

What a client makes of networks and servers that misbehave. A test lets every fault happen
over real sockets, through a proxy, to a client over ` + "`transport/std`" + ` and over
` + "`transport/epoll`" + `, that pulls and that has a Handler (push), over ws and over wss, and
compares what comes of it with this table, which it writes itself:

	go test ./internal/faultproxy -update

- **Error**: what the call under way returns, or what OnClose gets, by its type, close code
  and causes. Every client calls ` + "`Close`" + ` in the end, as every program has to; if that has an
  error of its own, it follows.
- **Close code**: the one in the close frame that the client sent; – if it sent none.
- **Known**: at once, or when the deadline passed that is named. Deadlines that aren't named
  were out of reach.
- **Memory**: more than the heap grew at the peak, server and proxy included.
- **Left**: goroutines and descriptors that are there after the end and weren't before.

| The server, or the network | With | Error | Close code | Known | Memory | Left |
|---|---|---|---|---|---|---|
`
