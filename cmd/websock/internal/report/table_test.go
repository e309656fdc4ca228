package report

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
	"github.com/seed004e8d11/websock/cmd/websock/internal/threshold"
)

// measured returns a result of 10 seconds with large numbers, in which everything was measured.
func measured() measure.Result {
	r := measure.NewResult()
	for ms := range 1000 {
		d := time.Duration(ms+1) * time.Millisecond
		r.Latencies.Record(123 * d)
		r.ClosedLoop.Record(d)
		r.Lateness.Record(d / 100)
		r.OneWay.Record(d / 10)
	}
	r.Connections, r.Elapsed, r.Exchanged, r.CPU = 1_000_000, 10*time.Second, 499_000_000, time.Minute
	r.IdleMemory, r.Memory = 7e9, 9e9
	r.Final = measure.Snapshot{
		Attempts: 1_000_000, Due: 500_000_000, Unsent: 1_000_000, Sent: 499_000_000, Awaited: 499_000_000,
		Answered: 498_999_000, Received: 498_999_000, SentBytes: 64e9, ReceivedBytes: 64e9, Errors: 1000,
	}
	r.Errors["echo timeout"] = 1000
	return r
}

// table returns the lines of the table of a report.
func table(t *testing.T, r *Report) []string {
	var b bytes.Buffer
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(b.String()), "\n")
}

func TestWhatCameWhileConnectionsWereOpenedIsInNoRate(t *testing.T) {
	r := &Report{Mode: ModeReceive}
	result := measured()
	result.Before = measure.Snapshot{Sent: 399_000_000, SentBytes: 54e9, ReceivedBytes: 34e9}
	result.Dialing = 100 * time.Second
	r.SetResult(result, nil)
	if r.SentPerSecond != 10_000_000 {
		t.Errorf("%v messages sent a second", r.SentPerSecond)
	}
	const want = "1.0 GB sent, 3.0 GB received"
	if lines := table(t, r); !slices.ContainsFunc(lines, func(line string) bool { return strings.HasSuffix(line, want) }) {
		t.Errorf("no %q in %q", want, lines)
	}
}

func TestLatencyThatWasNotMeasuredIsNoZero(t *testing.T) {
	for scenario, want := range map[string]string{
		"":         "latency not measured: no message was answered",
		"rpc.yaml": `latency not measured: none of "messages" was answered`,
	} {
		r := &Report{Mode: ModeEcho, Window: 1, Scenario: scenario}
		r.SetResult(measure.NewResult(), nil)
		var of []string
		for _, line := range table(t, r) {
			if strings.HasPrefix(line, "latency") {
				of = append(of, strings.Join(strings.Fields(line), " "))
			}
		}
		if !slices.Equal(of, []string{want}) {
			t.Errorf("%q, want %q", of, want)
		}
	}
}

func TestTableFitsOn80Columns(t *testing.T) {
	r := &Report{
		URLs: []string{"ws://127.0.0.1:39615/"}, Server: "child process", Transport: "netpoll", Processes: 16,
		Size: 65536, Window: 65536, Asked: 1_000_000, AskedRate: 50_000_000, StreamsAsked: 100, Mode: ModeEcho,
	}
	result := measured()
	result.Streams = result.Connections
	result.Dialing = 100 * time.Second
	r.SetResult(result, nil)
	for _, text := range []string{"latency.p99.99<123456ms", "closed_loop.p99.9<=200ms", "one_way.mean<1us", "connections>=100%"} {
		parsed, err := threshold.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		r.Judge([]threshold.Threshold{parsed})
	}
	for _, line := range table(t, r) {
		if utf8.RuneCountInString(line) > 80 {
			t.Errorf("too long: %s", line)
		}
	}
}

// columns is what stands between a label and its value.
var columns = regexp.MustCompile(" {3,}")

func TestTableByMode(t *testing.T) {
	for _, test := range []struct {
		name   string
		report Report
		result func(*measure.Result)
		want   []string
		not    []string
	}{
		{"a schedule", Report{AskedRate: 50_000_000, Size: 128, Window: 1}, func(*measure.Result) {}, []string{
			"messages sent: 499,000,000 of 128 bytes by a schedule",
			"messages due: 500,000,000, 1,000,000 of them never sent",
			"messages sent a second: 49,900,000 of 50,000,000, 99.80 %",
			"messages answered: 498,999,000 of 499,000,000",
			"bytes a second: 6.4 GB sent, 6.4 GB received",
			"latency p99: 2m1.831423s, closed loop 990.207ms",
			"latency p99.9: ",
			"latency p99.99: ",
			"lateness p99: 9.903ms",
			"one-way latency p50: 50.",
		}, nil},
		{"a schedule whose rate changes", Report{Scenario: "feed.yaml"}, func(*measure.Result) {}, []string{
			"messages sent: 499,000,000, those of feed.yaml",
			"messages sent a second: 49,900,000 of 50,000,000, 99.80 %",
		}, []string{" bytes by a schedule", "in flight"}},
		{"messages without a schedule, too", Report{Scenario: "feed.yaml"}, func(r *measure.Result) { r.Final.Sent += 10_000_000 }, []string{
			"messages sent a second: 50,900,000; 49,900,000 of 50,000,000 due, 99.80 %",
		}, nil},
		{"no answer", Report{Size: 1, Window: 1}, func(r *measure.Result) {
			r.Latencies, r.ClosedLoop, r.Final.Answered = measure.NewHistogram(), measure.NewHistogram(), 0
		}, []string{
			"latency: not measured: no message was answered",
		}, []string{"latency p50: 0s", "latency max: 0s"}},
		{"a closed loop", Report{Size: 1, Window: 16}, func(r *measure.Result) {
			r.ClosedLoop, r.Lateness, r.OneWay = measure.NewHistogram(), measure.NewHistogram(), measure.NewHistogram()
			r.Final.Due, r.Final.Unsent, r.Final.Answered = 0, 0, r.Final.Awaited
		}, []string{
			"messages sent: 499,000,000 of 1 bytes, 16 in flight on each connection",
			"latency p50: ",
		}, []string{"closed loop", "due", "lateness", "one-way", "answered", "asked"}},
		{"a server that pushes", Report{Mode: ModeReceive}, func(r *measure.Result) {
			*r = measure.Result{Connections: 1, Latencies: measure.NewHistogram(), ClosedLoop: measure.NewHistogram(), Lateness: measure.NewHistogram(), OneWay: r.OneWay}
		}, []string{
			"messages sent: 0: only the server sends",
			"one-way latency p99: ",
		}, []string{"\nlatency", "lateness", "due", "bytes a second", "answered"}},
		{"a server that answers nothing", Report{Mode: ModeSend, Size: 5, Window: 1}, func(r *measure.Result) {
			*r = measure.NewResult()
			r.Elapsed, r.Final.Sent, r.Final.SentBytes = time.Second, 2000, 10_000
		}, []string{
			"messages sent: 2,000 of 5 bytes, without answers",
			"bytes a second: 10 kB sent, 0 bytes received",
		}, []string{"latency", "in flight", "due"}},
		{"idle connections", Report{}, func(r *measure.Result) { *r = measure.NewResult() }, []string{
			"messages sent: 0: connections are idle",
		}, nil},
	} {
		result := measured()
		test.result(&result)
		result.Dialing = time.Second
		test.report.SetResult(result, nil)
		text := columns.ReplaceAllString("\n"+strings.Join(table(t, &test.report), "\n"), ": ")
		for _, want := range test.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", test.name, want, text)
			}
		}
		for _, not := range test.not {
			if strings.Contains(text, not) {
				t.Errorf("%s: %q in\n%s", test.name, not, text)
			}
		}
	}
}

func TestByteSize(t *testing.T) {
	for n, want := range map[float64]string{0: "0 bytes", 999: "999 bytes", 1000: "1 kB", 999_600: "1 MB", 123_456: "123 kB", 5e6: "5 MB", 2.345e12: "2345.0 GB"} {
		if got := byteSize(n); got != want {
			t.Errorf("%v: %s, not %s", n, got, want)
		}
	}
}

func TestTableOfARunThatTookNoTime(t *testing.T) {
	r := &Report{}
	result := measured()
	result.Elapsed = 0
	result.Dialing = 0
	r.SetResult(result, nil)
	for _, line := range table(t, r) {
		if strings.Contains(line, "Inf") || strings.Contains(line, "NaN") {
			t.Error(line)
		}
	}
}
