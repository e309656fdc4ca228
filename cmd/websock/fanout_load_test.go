package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock/cmd/websock/internal/report"
)

func TestFanoutSendsAtARate(t *testing.T) {
	cert, key := writeCertificate(t)
	for name, test := range map[string]struct{ server, client string }{
		"in all":           {"", "-msg-rate 1000"},
		"of each":          {"", "-msg-rate 100/conn"},
		"processes":        {"", "-msg-rate 1000 -procs 3"},
		"text":             {"", "-msg-rate 1000 -text -window 4"},
		"netpoll":          {"", "-msg-rate 1000 -transport netpoll"},
		"std":              {"", "-msg-rate 1000 -transport std"},
		"TLS":              {"-tls-cert " + cert + " -tls-key " + key, "-msg-rate 1000 -ca " + cert},
		"HTTP/2":           {"-h2c", "-msg-rate 1000 -h2 -streams 4"},
		"HTTP/2 and TLS":   {"-tls-cert " + cert + " -tls-key " + key, "-msg-rate 1000 -h2 -ca " + cert},
		"compressed":       {"-compress", "-msg-rate 1000 -compress -size 5000"},
		"large":            {"", "-msg-rate 100 -size 200000"},
		"of no bytes":      {"", "-msg-rate 1000 -size 0"},
		"of one":           {"", "-msg-rate 1000 -n 1"},
		"more than it can": {"", "-msg-rate 1e7"},
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := startServer(t, strings.Fields(test.server)...)
			r, got := runFanout(t, append([]string{"-url", url, "-n", "10", "-duration", "200ms"}, strings.Fields(test.client)...)...)
			if got.code != 0 || got.err != "" || r.Sent == 0 || r.Awaited != r.Sent || r.Answered != r.Sent || r.Received != r.Sent {
				t.Errorf("%+v", got)
			}
			if r.Due != r.Sent+r.Unsent || r.LatencyFrom != "due" || r.Lateness == nil || r.ClosedLoop == nil || r.Latency.Max < r.ClosedLoop.Max {
				t.Errorf("%+v", r)
			}
			// Seconds are rounded, and those of the process that took longest.
			want, least := r.AskedRate*r.Seconds, 0.9
			if r.Processes > 1 {
				least = 0.1
			}
			if float64(r.Due) < least*want-10 || float64(r.Due) > 1.1*want+10 {
				t.Errorf("%d were due, not %v", r.Due, want)
			}
		})
	}
}

func TestFanoutOnlyReceives(t *testing.T) {
	t.Parallel()
	for _, flags := range []string{"-mode receive", "-window 0", "-mode receive -procs 2", "-mode receive -h2", "-mode receive -transport std"} {
		t.Run(flags, func(t *testing.T) {
			t.Parallel() // it takes longer than a machine stands still
			url, _ := startServer(t, "-h2c", "-push", "10ms")
			args := append([]string{"-url", url, "-n", "10", "-duration", "5s"}, strings.Fields(flags)...)
			r, got := runFanout(t, args...)
			if got.code != 0 || got.err != "" || r.Sent != 0 || r.Received == 0 || r.OneWay == nil || r.OneWay.Max == 0 || r.LatencyFrom != "" {
				t.Errorf("%+v", got)
			}
			if got := command(t.Context(), "", append([]string{"fanout"}, args...)...); !strings.Contains(got.out, "one-way") || strings.Contains(got.out, "\nlatency") {
				t.Error(got.out)
			}
		})
	}
}

func TestFanoutHoldsIdleConnectionsOpen(t *testing.T) {
	got := command(t.Context(), "", "fanout", "-n", "10", "-duration", "100ms", "-window", "0")
	if got.code != 0 || !strings.Contains(got.out, "connections are idle") || strings.Contains(got.out, "latency") { // no row of zeros
		t.Errorf("%+v", got)
	}
}

func TestFanoutSendsToAServerThatDoesNotAnswer(t *testing.T) {
	url, _ := startServer(t, "-push", "1h")
	for _, flags := range []string{"", "-procs 2"} {
		r, got := runFanout(t, append([]string{"-url", url, "-n", "10", "-duration", "200ms", "-mode", "send", "-msg-rate", "1000"}, strings.Fields(flags)...)...)
		if got.code != 0 || r.Sent == 0 || r.Received != 0 || r.Awaited != 0 || r.Mode != report.ModeSend || r.MessagesPerSecond == 0 {
			t.Errorf("%+v", got)
		}
	}
	// An echo server's answers are no errors.
	url, _ = startServer(t)
	if r, got := runFanout(t, "-url", url, "-n", "10", "-duration", "1s", "-mode", "send", "-msg-rate", "1000"); got.code != 0 || r.Received == 0 {
		t.Errorf("%+v", got)
	}
}

func TestRatesAreOfAllConnectionsOrOfEach(t *testing.T) {
	for value, want := range map[string][2]float64{"100": {25, 100}, "0.5/conn": {0.5, 2}, "0": {0, 0}, "1e3": {250, 1000}} {
		var r messageRate
		if err := r.Set(value); err != nil || r.ofEach(4) != want[0] || r.ofAll(4) != want[1] {
			t.Errorf("%s: %v and %v, %v", value, r.ofEach(4), r.ofAll(4), err)
		}
		var again messageRate
		if err := again.Set(r.String()); err != nil || again != r {
			t.Errorf("%s: %v, %v", value, fmt.Sprint(&r), err)
		}
	}
}
