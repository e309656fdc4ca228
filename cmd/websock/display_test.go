package main

import (
	"strings"
	"testing"
	"time"
)

// parsedFanout returns the command of flags that are valid.
func parsedFanout(t *testing.T, args ...string) *fanoutCommand {
	t.Helper()
	c := &fanoutCommand{}
	c.flags = c.flagSet("fanout")
	c.register(c.flags)
	if err := c.flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	if err := c.check(nil); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheHeadOfTheScreenSaysWhatIsAskedFor(t *testing.T) {
	stages := writeScenario(t, "stages: [{to: 40, for: 2s, name: up}, {for: 3s, name: up}, {to: 0, for: 1s, name: down}]\nmessages: [{send: {text: hi}, every: 1s}]\n")
	for args, want := range map[string]string{
		"-n 2000":                  "2,000 connections, 128 bytes, 1 in flight on each, transport std",
		"-msg-rate 3/conn -n 1000": "1,000 connections, 128 bytes, 3,000 messages a second, transport std",
		"-window 0 -rate 50":       "1,000 connections, 50 dialed a second, idle, transport std",
		"-mode receive -procs 3":   "1,000 connections, mode receive, 3 processes, transport std",
		"-h2 -cluster=feed":        "1,000 connections, 128 bytes, 1 in flight on each, HTTP/2, 100 WebSockets a connection, cluster feed, weight 1, transport std",
		"-scenario " + stages:      "40 connections, scenario " + stages + ", transport std",
	} {
		c := parsedFanout(t, append(strings.Fields(args), "-transport", "std", "-url", unusedURL)...)
		if got := strings.Join(c.details(), ", "); got != want {
			t.Errorf("%s: %s", args, got)
		}
	}
	if got := parsedFanout(t, "-scenario", stages, "-url", unusedURL).phases(); len(got) != 2 || got["up"] != 5*time.Second || got["down"] != time.Second {
		t.Errorf("%v", got)
	}
}
