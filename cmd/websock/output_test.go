package main

import (
	"strings"
	"testing"
)

func TestThresholdsDecideTheExitCode(t *testing.T) {
	url, _ := startServer(t)
	for _, test := range []struct {
		flags string
		code  int
		says  []string
	}{
		{"-threshold latency.p99<1m -threshold errors==0", 0, []string{"2 of 2 held", "held, ", "errors==0"}},
		{"-threshold latency.p99<1us -threshold errors==0", 7, []string{"1 of 2 held", "NOT HELD, "}},
		{"-threshold one_way.p99<1m", 7, []string{"NOT HELD, not measured: no message came that says when it was sent"}},
		{"-threshold connections>=100% -procs 2", 0, []string{"1 of 1 held", "100 %"}},
		{"-url " + unusedURL + " -threshold connections>=1 -threshold errors<=2", 0, []string{"dial refused", "2 of 2 held"}}, // errors alone aren't a failure then
		{"-url " + unusedURL + " -threshold errors==0", 7, []string{"0 of 1 held"}},
	} {
		args := append([]string{"fanout", "-url", url, "-n", "4", "-duration", "50ms"}, strings.Fields(test.flags)...)
		got := command(t.Context(), "", args...)
		if got.code != test.code || got.err != "" {
			t.Errorf("%s: %+v", test.flags, got)
		}
		for _, text := range test.says {
			if !strings.Contains(got.out, text) {
				t.Errorf("%s: no %q in %s", test.flags, text, got.out)
			}
		}
	}
}

func TestThresholdsInJSON(t *testing.T) {
	r, got := runFanout(t, "-n", "2", "-duration", "50ms", "-threshold", "latency.p50 >= 1us", "-threshold", "one_way.max<1s")
	if got.code != 7 || r.Held == nil || *r.Held || len(r.Thresholds) != 2 {
		t.Fatalf("%+v", got)
	}
	first, second := r.Thresholds[0], r.Thresholds[1]
	if !first.Held || first.Threshold != "latency.p50>=1us" || first.Unit != "us" || *first.Value != float64(r.Latency.P50) {
		t.Errorf("%+v", first)
	}
	if second.Held || second.Value != nil || second.Reason == "" {
		t.Errorf("%+v", second)
	}
	if r, _ := runFanout(t, "-n", "2", "-duration", "50ms"); r.Held != nil || r.Thresholds != nil || r.SchemaVersion != 1 {
		t.Errorf("without: %+v", r)
	}
}
