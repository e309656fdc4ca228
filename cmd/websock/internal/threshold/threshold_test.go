package threshold

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

// exampleRun returns a run of 10 seconds in which each thousandth message failed.
func exampleRun() *Run {
	r := &Run{Result: measure.NewResult(), Asked: 100, AskedRate: 1000, Dialing: 2 * time.Second}
	for ms := range 1000 {
		r.Latencies.Record(time.Duration(ms+1) * time.Millisecond)
	}
	r.Connections, r.Elapsed, r.Exchanged = 99, 10*time.Second, 9980
	r.Counted = map[string]int64{"ticks": 7, "a.b c": 8}
	r.Final = measure.Snapshot{
		Attempts: 110, Due: 10_000, Unsent: 10, Sent: 9990, Awaited: 9990, Answered: 9980, Received: 9980,
		Errors: 10, Reconnects: 3,
	}
	return r
}

func TestWhatWasSentWhileConnectionsWereOpenedIsInNoRate(t *testing.T) {
	r := exampleRun()
	r.Before = measure.Snapshot{Sent: 4990}
	for text, want := range map[string]string{"sent_rate<1": "500", "sent_rate<1%": "99.9 %", "sent<1": "9990"} {
		threshold, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := threshold.Check(r).Describe(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// spaces are those that are left out.
var spaces = regexp.MustCompile(` ?([<>=%]) ?`)

func TestThresholdsOfARun(t *testing.T) {
	for _, test := range []struct {
		threshold string
		held      bool
		says      string
	}{
		{"latency.p99<1s", true, "99"},
		{"latency.p50 <= 400ms", false, "50"},
		{"latency.max>=1s", true, "1.0"},
		{"latency.min<900us", false, "1ms"},
		{"latency.mean>0.4s", true, "50"},
		{"latency.p99.99>900ms", true, "1.0"},
		{"latency.p100<0.9s", false, "1.0"},
		{"errors<0.1%", true, "0.09901 %"}, // of 110 + 9990 + 0
		{"errors<0.099%", false, "0.09901 %"},
		{"errors==10", true, "10"},
		{"errors==0", false, "10"},
		{"connections>=99%", true, "99 %"},
		{"connections==100", false, "99"},
		{"reconnects<3", false, "3"},
		{"dial_rate>49", true, "49.5"},
		{"message_rate>1e3", false, "998"},
		{"message_rate>99 %", true, "99.8 %"},
		{"sent_rate>99.9%", false, "99.9 %"},
		{"sent_rate>=999", true, "999"},
		{"sent>99%", true, "99.9 %"},
		{"sent>=9990", true, "9990"},
		{"unsent<0.1%", false, "0.1 %"},
		{"unsent<=10", true, "10"},
		{"received>1", true, "9980"},
		{"answered>99.9%", false, "99.8999 %"},
		{"counted.ticks>=7", true, "7"},
		{"counted.a.b c<7", false, "8"},
	} {
		parsed, err := Parse(test.threshold)
		if err != nil {
			t.Errorf("%s: %v", test.threshold, err)
			continue
		}
		got := parsed.Check(exampleRun())
		if got.Held != test.held || got.Value == nil || got.Reason != "" || !strings.HasPrefix(got.Describe(), test.says) {
			t.Errorf("%s: %+v %s", test.threshold, got, got.Describe())
		}
		if got.Threshold != spaces.ReplaceAllString(test.threshold, "$1") {
			t.Errorf("%s is called %s", test.threshold, got.Threshold)
		}
	}
}

func TestAPercentageDoesNotLookLikeTheLimitThatItMissed(t *testing.T) {
	r := exampleRun()
	r.Asked, r.Connections = 1_000_000, 999_999
	parsed, err := Parse("connections>=100%")
	if got := parsed.Check(r); err != nil || got.Held || got.Describe() != "99.9999 %" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestWhatWasNotMeasuredDoesNotHold(t *testing.T) {
	for threshold, says := range map[string]string{
		"latency.p99>=0s":    "not measured: no message was answered",
		"closed_loop.p99<1s": "not measured: there is no schedule",
		"lateness.max<1h":    "not measured: no message was sent by a schedule",
		"one_way.mean<1h":    "not measured: no message came that says when it was sent",
		"errors<=100%":       "not measured: nothing was attempted",
		"dial_rate>=0":       "not measured: connections come and go",
		"message_rate>=0":    "not measured: no messages were exchanged",
		"sent_rate>=0%":      "not measured: no messages were exchanged",
		"unsent<=100%":       "not measured: no message was due",
		"counted.ticks>=0":   "not measured: the scenario counts no messages of this name",
		"answered>=0%":       "not measured: no message was sent that wants an answer",
	} {
		parsed, err := Parse(threshold)
		if err != nil {
			t.Errorf("%s: %v", threshold, err)
			continue
		}
		got := parsed.Check(&Run{Result: measure.NewResult(), Asked: 1})
		if got.Held || got.Value != nil || !strings.HasPrefix(got.Describe(), says) {
			t.Errorf("%s: %+v", threshold, got)
		}
	}
}

func TestARateInPercentIsOfWhatWasAskedForOrDue(t *testing.T) {
	parsed, err := Parse("sent_rate>=99.9%")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		asked             float64
		due, unsent, sent int64
		held              bool
		reason            string
	}{
		{1000, 10_000, 0, 10_000, true, ""},
		{1000, 10_000, 1000, 9000, false, ""},
		{1000, 9000, 0, 9000, false, ""},
		{0, 9000, 0, 9000, true, ""},
		{0, 9000, 1000, 8000, false, ""},
		{0, 0, 0, 9000, false, noSchedule},
		{0, 9000, 0, 9500, true, ""}, // some have no schedule,
		{0, 9000, 500, 9000, false, ""},
		{1000, 10_000, 500, 10_000, false, ""}, // and don't stand in for those that have one
	} {
		r := exampleRun()
		r.AskedRate, r.Final.Due, r.Final.Unsent, r.Final.Sent = test.asked, test.due, test.unsent, test.sent
		if got := parsed.Check(r); got.Held != test.held || got.Reason != test.reason {
			t.Errorf("%+v: %+v", test, got)
		}
	}
}

func TestThresholdsThatAreNone(t *testing.T) {
	for threshold, says := range map[string]string{
		"":                       "no comparison",
		"latency.p99":            "no comparison",
		"latency.p99=1s":         "no comparison",
		"errors!=0":              "no comparison",
		"latencies.p99<1s":       `no figure "latencies"; there are: answered, closed_loop, connections`,
		"<1s":                    `no figure ""`,
		"latency<1s":             "latency needs a statistic",
		"latency.p<1s":           ".p50",
		"latency.p0<1s":          ".p50",
		"latency.p101<1s":        ".p50",
		"latency.p+5<1s":         ".p50",
		"latency.pNaN<1s":        ".p50",
		"latency.p1e1<1s":        ".p50",
		"latency.99<1s":          ".p50",
		"latency.p99<200":        "has a unit",
		"latency.p99<-1s":        "has a unit",
		"latency.p99<":           "has a unit",
		"latency.p99<1s<2s":      "has a unit",
		"latency.p99<5%":         "has a unit",
		"errors<1s":              "a limit is a number",
		"errors<-1":              "a limit is a number",
		"errors<NaN":             "a limit is a number",
		"errors<inf":             "a limit is a number",
		"errors<%":               "a limit is a number",
		"errors.p99<1":           "errors is one number",
		"errors.<1":              "errors is one number",
		"reconnects<1%":          "no percentage",
		"counted.ticks<1%":       "no percentage",
		"counted>1":              "counted needs one of the names",
		"counted.>1":             "counted needs one of the names",
		"latency.p99 \x00 < 1s ": ".p50",
	} {
		if parsed, err := Parse(threshold); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, %v", threshold, parsed, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"latency.p99<200ms", "errors <= 0.1%", "sent_rate>=99%", "one_way.max==1s", "<>=!"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(parsed.String())
		if err != nil || again.Check(exampleRun()).Held != parsed.Check(exampleRun()).Held {
			t.Errorf("%q as %q: %v", text, parsed, err)
		}
	})
}

func TestTheDocumentationHasEveryFigure(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/measuring.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range figures {
		line := regexp.MustCompile("(?m)^\\| `" + name + "(?:\\.NAME)?` \\|.*\\| (.*) \\|$").FindStringSubmatch(string(text))
		if line == nil || strings.HasPrefix(line[1], "time") != (f.times != nil) || strings.Contains(line[1], "%") != (f.whole != nil) {
			t.Errorf("%s: %q", name, line)
		}
	}
}
