package compare

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// An old result is one from before there was a schema_version.
const old = `{"urls":["ws://127.0.0.1:39475/"],"server":"child process","transport":"epoll","processes":1,"size":128,"window":1,
"asked":20,"connections":20,"dial_rate":1000,"reconnects":0,"seconds":0.5,"sent":41644,"received":41644,"messages_per_second":83216.74,
"latency_us":{"min":12,"mean":239,"p50":100,"p75":274,"p90":367,"p95":573,"p99":1132,"p99.9":5067,"p99.99":12199,"max":12215},
"cpu_us_per_message":6.76,"cpu_us_per_open":171.75,"bytes_per_connection":0,"resident_bytes":3915776,"errors":{},"errors_total":0}`

// changed returns the old result with other values of some keys, and without those whose value is nil.
func changed(t *testing.T, changes map[string]any) Summary {
	var values map[string]any
	if err := json.Unmarshal([]byte(old), &values); err != nil {
		t.Fatal(err)
	}
	for key, value := range changes {
		if below, ok := strings.CutPrefix(key, "latency_us."); ok {
			values["latency_us"].(map[string]any)[below] = value
		} else if values[key] = value; value == nil {
			delete(values, key)
		}
	}
	text, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Read("changed", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// changeOf returns how a figure changed.
func changeOf(t *testing.T, c *Comparison, key string) Change {
	for _, change := range c.Figures {
		if change.Key == key {
			return change
		}
	}
	return Change{}
}

func TestVerdicts(t *testing.T) {
	none := map[string]any{}
	for _, test := range []struct {
		name          string
		before, after map[string]any
		key           string
		percent       float64 // 1e9: there is none
		verdict       Verdict
	}{
		{"no change", none, none, "latency_us.p50", 0, ""},
		{"lower is better", none, map[string]any{"latency_us.p50": 90}, "latency_us.p50", -10, Better},
		{"a little worse", none, map[string]any{"latency_us.p50": 110}, "latency_us.p50", 10, Worse},
		{"more than allowed", none, map[string]any{"latency_us.p50": 111}, "latency_us.p50", 11, TooFar},
		{"higher is better", none, map[string]any{"messages_per_second": 100_000}, "messages_per_second", 20.17, Better},
		{"higher was better", none, map[string]any{"messages_per_second": 70_000}, "messages_per_second", -15.88, TooFar},
		{"varies much", none, map[string]any{"latency_us.max": 1e6}, "latency_us.max", 8086.66, Worse},
		{"neither way", none, map[string]any{"sent": 1}, "sent", -100, ""},
		{"errors from none", none, map[string]any{"errors_total": 1}, "errors_total", 1e9, TooFar},
		{"no more errors", map[string]any{"errors_total": 5}, none, "errors_total", -100, Better},
		{"a rate from nothing", map[string]any{"dial_rate": 0}, none, "dial_rate", 1e9, Better},
		{"too small to see", none, map[string]any{"cpu_us_per_message": 6.763}, "cpu_us_per_message", 0.04, ""},
		{"no answers any more", none, map[string]any{"latency_us.p99": 0}, "latency_us.p99", 1e9, TooFar},
		{"answers for the first time", map[string]any{"latency_us.p99": 0}, none, "latency_us.p99", 1e9, ""},
		{"memory that was not measured", none, map[string]any{"bytes_per_connection": 700}, "bytes_per_connection", 1e9, ""},
		{"memory that is not measured", map[string]any{"bytes_per_connection": 700}, none, "bytes_per_connection", 1e9, ""},
		{"pushed in no time", map[string]any{"one_way_us": map[string]any{"p50": 50}}, map[string]any{"one_way_us": map[string]any{"p50": 0}}, "one_way_us.p50", -100, Better},
		{"nothing pushed any more", map[string]any{"one_way_us": map[string]any{"p50": 50}}, none, "one_way_us.p50", 1e9, TooFar},
		{"a key that is new", none, map[string]any{"unsent": 7}, "unsent", 1e9, ""},
		{"a key that is gone", map[string]any{"unsent": 7}, none, "unsent", 1e9, ""},
	} {
		c := Compare(changed(t, test.before), changed(t, test.after), &Judging{Above: 10})
		got := changeOf(t, &c, test.key)
		if got.Verdict != test.verdict || c.Worse != (test.verdict == TooFar) ||
			(got.Percent == nil) != (test.percent == 1e9) || got.Percent != nil && *got.Percent != test.percent {
			t.Errorf("%s: %+v", test.name, got)
		}
		if without := Compare(changed(t, test.before), changed(t, test.after), nil); without.Worse {
			t.Errorf("%s: worse although nothing decides", test.name)
		}
	}
}

func TestNamedFiguresDecideAlone(t *testing.T) {
	before := changed(t, nil)
	after := changed(t, map[string]any{"latency_us.p50": 200, "latency_us.p99.9": 5068})
	for key, worse := range map[string]bool{"latency_us.p50": true, "latency_us.p99.9": true, "messages_per_second": false} {
		if err := CheckFigure(key); err != nil {
			t.Error(err)
		}
		if c := Compare(before, after, &Judging{Above: 0, Keys: []string{key}}); c.Worse != worse {
			t.Errorf("%s: %+v", key, c)
		}
	}
	for _, key := range []string{"", "sent", "latency", "latency_us"} {
		if CheckFigure(key) == nil {
			t.Errorf("%q is a figure", key)
		}
	}
}

func TestWhatWasAskedForDifferently(t *testing.T) {
	before := changed(t, nil)
	after := changed(t, map[string]any{
		"urls": []string{"ws://127.0.0.1:1/"}, "asked": 5000, "size": 1 << 20, "sources": []string{"127.0.0.1", "127.0.0.2"}, "mode": "echo",
		"asked_messages_per_second": 0.5,
	})
	c := Compare(before, after, nil)
	got, err := json.Marshal(c.Options)
	want := `[{"option":"sources","before":"","after":"127.0.0.1 127.0.0.2"},{"option":"asked","before":"20","after":"5000"},` +
		`{"option":"asked_messages_per_second","before":"","after":"0.5"},{"option":"size","before":"128","after":"1048576"}]`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
	given := changed(t, map[string]any{"server": "given"})
	elsewhere := changed(t, map[string]any{"server": "given", "urls": []string{"ws://other/"}})
	if c := Compare(given, elsewhere, nil); len(c.Options) != 1 || c.Options[0].After != "ws://other/" {
		t.Errorf("%+v", c.Options)
	}
	if c := Compare(before, before, nil); c.Options != nil || c.Notes != nil {
		t.Errorf("%+v", c)
	}
}

func TestTableForPeople(t *testing.T) {
	after := changed(t, map[string]any{
		"schema_version": 2, "window": 16, "latency_us.p50": 123, "latency_us.max": 599_999_000, "errors_total": 3, "resident_bytes": 9e12,
		"one_way_us": map[string]any{"p50": 1000},
	})
	c := Compare(changed(t, nil), after, &Judging{Above: 10})
	var b strings.Builder
	if err := c.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"changed is of a later version of this program",
		"  messages in flight: 1, then 16\n",
		"                                before          after     change\n",
		"connections                         20             20\n",
		"latency p50                      100µs          123µs    +23.0 %  too much worse\n",
		"latency max                   12.215ms      9m59.999s +4911885.3 %  worse\n",
		"one-way latency p50                  -            1ms\n",
		"errors                               0              3     from 0  too much worse\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	for line := range strings.Lines(b.String()) {
		if utf8.RuneCountInString(line) > 81 && !strings.Contains(line, "later version") {
			t.Errorf("too long: %s", line)
		}
	}
}

func TestWhatIsNoResult(t *testing.T) {
	for text, says := range map[string]string{
		"":                          "it is empty",
		" \n":                       "it is empty",
		"{":                         "no result of fanout -json: unexpected EOF",
		"[]":                        "no result of fanout -json: json",
		"null":                      `no "asked"`,
		"{}":                        `no "asked"`,
		`{"asked":"5"}`:             `no "asked"`,
		old + old:                   "something follows",
		old + "x":                   "something follows",
		strings.Repeat(" ", 65<<20): "larger than 64 MiB",
	} {
		if _, err := Read("it", strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "it: ") {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if _, err := Read("it", strings.NewReader(old+"\n \n")); err != nil {
		t.Error(err)
	}
}

func TestValuesOfOtherTypesAreMissing(t *testing.T) {
	odd := changed(t, map[string]any{"latency_us": []int{1}, "errors_total": "many", "urls": map[string]any{"a": 1}, "window": nil, "size": true})
	c := Compare(odd, odd, &Judging{})
	if c.Worse || changeOf(t, &c, "errors_total").Before != nil || changeOf(t, &c, "latency_us.p50").Before != nil {
		t.Errorf("%+v", c)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(old)
	f.Add(`{"asked":1,"connections":1e-308,"received":1e308,"latency_us":{"p50":-1,"max":1e308},"dial_rate":0}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Read("it", strings.NewReader(text))
		if err != nil {
			return
		}
		if c := Compare(s, s, &Judging{}); len(c.Options) > 0 || c.Worse {
			t.Errorf("differs from itself: %+v", c)
		}
		known, err := Read("known", strings.NewReader(old))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []Comparison{Compare(known, s, nil), Compare(s, known, &Judging{Above: 1})} {
			var b bytes.Buffer
			if err := c.WriteTable(&b); err != nil {
				t.Error(err)
			}
			if err := c.WriteJSON(&b); err != nil {
				t.Error(err)
			}
		}
	})
}
