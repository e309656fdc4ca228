package scenario

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// files are those that scenarios of tests name.
var files = map[string]string{
	"users.csv":     "\ufeffname,token\nann,s3cret\nbob,\"with, comma\"\n",
	"ragged.csv":    "name,token\nann,s3cret\nbob\n",
	"header.csv":    "name,token\n",
	"twice.csv":     "name,name\na,b\n",
	"quote.csv":     "name\n\"a\n",
	"subscribe.txt": `{"op":"subscribe","not a template":"{{"}`,
	"hello.tmpl":    `hello {{.Data.name}}`,
	"latin1.txt":    "caf\xe9",
	"bytes.bin":     "\x00\xff",
}

// parseText parses a scenario.
func parseText(text string) (*Scenario, error) {
	return Parse("test.yaml", []byte(text), Sources{
		ReadFile: func(name string) ([]byte, error) {
			if content, ok := files[name]; ok {
				return []byte(content), nil
			}
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		},
		LookupEnv: func(name string) (string, bool) { return "from the environment", name == "TOKEN" },
	})
}

func mustParse(t *testing.T, text string) *Scenario {
	t.Helper()
	s, err := parseText(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAWholeScenario(t *testing.T) {
	s := mustParse(t, byteOrderMark+`
# every key once
url: wss://example.com
duration: 90s
connections: 1_000
data: users.csv
path: /room/{{.Connection}}?name={{.Data.name | urlquery}}
headers:
  Authorization: Bearer {{.Data.token}}
  X-Env: '{{env "TOKEN"}}'
subprotocols: [mqtt, wamp]
open:
  - send: &login {text: 'login {{.Data.name}}'}
    answer: any
    timeout: 3s
  - send: *login
messages:
  - {send: {hex: "C0 00"}, rate: 4, answer: {hex: D000}}
  - {send: {base64: aGk=}, every: 1m}
  - {send: {file: subscribe.txt}, think: 1s}
  - {send: {binary-file: bytes.bin}, answer: {regex: a}}
pushed: {json: ts, unit: ms}
count: {ticks: {json: type, equals: tick}}
errors: {refused: {json: error}}
close: {codes: [1000, 4001]}
thresholds: ['latency.p99<200ms', errors==0]
`)
	if s.URL != "wss://example.com" || s.Length() != 90*time.Second || s.MostConnections() != 1000 || !reflect.DeepEqual(s.Subprotocols, []string{"mqtt", "wamp"}) {
		t.Errorf("%+v", s)
	}
	if len(s.opening) != 2 || len(s.loop) != 2 || len(s.timed) != 2 || s.Rate() != 4+1.0/60 || !s.ExpectsClose(4001) || s.ExpectsClose(1001) {
		t.Errorf("%+v", s)
	}
	if got := fmt.Sprintf("%q %s %s %s", s.Answers(), s.PushedTime(), s.Counts(), s.Failures()); got != `["any message" "beginning with D000" "/a/"] ts in ms [ticks] [refused]` {
		t.Error(got)
	}
	if len(s.Thresholds) != 2 {
		t.Errorf("%v", s.Thresholds)
	}
	path, fields, err := s.Request(3, time.Now())
	if want := (http.Header{"Authorization": {"Bearer with, comma"}, "X-Env": {"from the environment"}}); err != nil || path != "/room/3?name=bob" || !reflect.DeepEqual(fields, want) {
		t.Errorf("%s %v %v", path, fields, err)
	}
}

func TestWhatIsWrongWithAScenarioAndWhere(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "test.yaml: the file is empty",
		"# nothing":                   "test.yaml: the file is empty",
		"- a":                         `test.yaml:1:1: a scenario is a mapping: lines of the form "key: value"`,
		"url: a\n---\nurl: b":         "test.yaml:3:4: a second document begins here; a scenario is one",
		"url: [":                      "test.yaml:1:6: sequence end token ']' not found",
		"url: a\nurl: b":              `test.yaml:2:1: mapping key "url" already defined at [1:1]`,
		"url: [a]":                    "test.yaml:1:6: url is a text, not a list or a mapping",
		"url:":                        "test.yaml:1:6: url has no value",
		"url: *x":                     "test.yaml:1:6: there is no anchor x before",
		"stages: *x":                  "stages is a list",
		"stages: &x [*x]":             "a stage is a mapping",
		"x: 1":                        `test.yaml:1:1: a scenario has no key "x"; it may have: close, connections, count, data, duration, errors, headers, messages, open, path, pushed, stages, subprotocols, thresholds, url`,
		"connections: many":           `test.yaml:1:14: connections is a whole number from 1 to 16777216, not "many"`,
		"connections: 0":              "from 1 to",
		"connections: 1.5":            "whole number",
		"duration: 5":                 `test.yaml:1:11: duration is a time such as 500ms, 5s or 1m30s, not "5"`,
		"duration: -5s":               "duration is 1ms to 1000h0m0s, not -5s",
		"duration: 2000h":             "not 2000h",
		"stages: {to: 1}":             `stages is a list`,
		"stages: []":                  "at least one connection",
		"stages: [{to: 0, for: 1s}]":  "at least one connection",
		"stages: [{to: 1}]":           "test.yaml:1:10: a stage needs a time: for",
		"stages: [{to: -1, for: 1s}]": `to is a whole number from 0 to 16777216, not "-1"`,
		"stages: [{too: 1}]":          `a stage has no key "too"; it may have: for, name, to`,
		"connections: 1\nstages: [{to: 1, for: 1s}]": "test.yaml:1:14: stages say how many",
		"stages: [{to: 1, for: 1s}]\nduration: 1s":   "test.yaml:2:11: stages say how long",
		"data: none.csv":                          "test.yaml:1:7: open none.csv: file does not exist",
		"data: ragged.csv":                        "test.yaml:1:7: ragged.csv: line 3 has another number of fields than the header line",
		"data: header.csv":                        "header.csv: it needs a header line and at least one row",
		"data: twice.csv":                         `twice.csv: the names in the header line differ and are not empty; number 2 is "name"`,
		"data: quote.csv":                         "quote.csv: ",
		"path: room":                              `test.yaml:1:7: a path begins with /, unlike "room"`,
		"path: '/{{'":                             "test.yaml:1:7: in the template, line 1: unclosed action",
		"path: '/{{.Nothing}}'":                   "can't evaluate field Nothing",
		"data: users.csv\npath: '/{{.Data.age}}'": `map has no entry for key "age": the columns of data are name, token`,
		"path: '/{{.Data.age}}'":                  `map has no entry for key "age": the scenario has no data`,
		`open: [{send: {"id":{{.Sequence}}}}]`:    "test.yaml:1:22: could not find flow map content, and a text that begins with { is in single quotes",
		`open: [{send: {"op":"login"}}]`:          "test.yaml:1:15: send is a mapping here, and a text that begins with { is in single quotes",
		`path: '/{{env "NONE"}}'`:                 "the environment has no NONE",
		"path: '/{{random 0}}'":                   "random 0: the number is at least 1",
		"path: '/{{mod 1 0}}'":                    "mod 1 0: the second number is at least 1",
		"headers: {'bad name': x}":                `"bad name" can't be a header field`,
		"headers: {A: \"a\\nb\"}":                 `"A" can't be a header field`,
		"headers: [a]":                            "headers is a mapping",
		"subprotocols: mqtt":                      "subprotocols is a list",
		"open: [{answer: any}]":                   "test.yaml:1:8: a message needs its content: send",
		"open: [{send: a, every: 1s}]":            "sent once",
		"open: [{send: a, timeout: 1s}]":          "timeout is that of the answer",
		"open: [{send: {}}]":                      "send needs one of: base64, binary-file, file, hex, template-file, text",
		"open: [{send: {text: a, hex: 00}}]":      "test.yaml:1:30: a message has one content",
		"open: [{send: {hex: 0}}]":                "not hexadecimal",
		"open: [{send: {base64: '!'}}]":           "not base64",
		"open: [{send: {file: none}}]":            "test.yaml:1:22: open none: file does not exist",
		"open: [{send: {file: latin1.txt}}]":      "text is UTF-8",
		"open: [{send: \"{{printf \\\"%c\\\" 1114112}}{{slice \\\"é\\\" 1}}\"}]": "text is UTF-8",
		"open: [{send: {text: }}]":                         "text has no value",
		"open: [{send: a, answer: id}]":                    "answer is any, or a mapping with one of: hex, json, regex",
		"open: [{send: a, answer: {json: id}}]":            "test.yaml:1:8: the answer is recognized by an ID that this message doesn't have: the same id",
		"open: [{send: a, answer: {regex: '('}}]":          "error parsing regexp",
		"open: [{send: a, answer: {regex: a, json: b}}]":   "one of: hex, json, regex",
		"open: [{send: a, answer: {regex: a, equals: b}}]": "equals is for json",
		"open: [{send: a, answer: {regex: a, sent: b}}]":   "sent is where the message has the ID",
		"open: [{send: a, answer: {hex: x}}]":              "not hexadecimal",
		"messages: [{send: a}]":                            "need a think or an answer",
		"messages: [{send: a, every: 1s, rate: 1}]":        "test.yaml:1:39: every and rate say the same: choose one",
		"messages: [{send: a, every: 0s}]":                 "every is 1µs to",
		"messages: [{send: a, rate: 0}]":                   `rate is a number a second, at most 1000000, not "0"`,
		"messages: [{send: a, rate: NaN}]":                 "rate is a number",
		"messages: [{send: a, every: 1s, think: 1s}]":      "choose one",
		"pushed: {json: t}":                                "unit is one of: ms, ns, rfc3339, s, us",
		"pushed: {regex: t, unit: s}":                      "pushed needs json, or a regex with a group",
		"count: {a: {json: b, unit: s}}":                   `a has no key "unit"; it may have: equals, hex, json, regex`,
		"close: {codes: [1]}":                              `a close code is a whole number from 1000 to 4999, not "1"`,
		"thresholds: [nothing<1]":                          "test.yaml:1:14: ",
		"close: {codes: 1000}":                             "codes is a list",
		"<<: {url: a}":                                     `a scenario has no key "<<"`,
	} {
		_, err := parseText(text)
		var positioned *Error
		if !errors.As(err, &positioned) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, not %s", text, err, want)
		}
	}
}

func TestTooMuchIsRefused(t *testing.T) {
	for want, text := range map[string]string{
		"at most 1048576 bytes": strings.Repeat("#", maxFile+1),
		"at most 1000 messages": "open: [" + strings.Repeat("{send: a},", maxSteps+1) + "]",
		"at most 64 names": "count:\n" + func() (lines string) {
			for i := range maxCounters + 1 {
				lines += fmt.Sprintf("  c%d: any\n", i)
			}
			return lines
		}(),
		"larger than 16777216 bytes": "path: '/{{randomText 16777216}}'",
	} {
		if _, err := parseText(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestStages(t *testing.T) {
	s := mustParse(t, "stages: [{to: 100, for: 10s}, {for: 5s}, {to: 10, for: 0s, name: drop}, {for: 1s}, {to: 0, for: 10s}]")
	for elapsed, want := range map[time.Duration]string{
		0:                  "0 ramp up to 100",
		time.Second:        "10 ramp up to 100",
		10 * time.Second:   "100 hold 100",
		15 * time.Second:   "10 hold 10",
		21 * time.Second:   "5 ramp down to 0",
		time.Hour:          "0 ramp down to 0",
		9999 * time.Second: "0 ramp down to 0",
	} {
		stage, n := s.At(elapsed)
		if got := fmt.Sprintf("%d %s", n, stage.Name); got != want {
			t.Errorf("%v: %s, not %s", elapsed, got, want)
		}
	}
	if s.Stages[2].Name != "drop" || s.MostConnections() != 100 || s.Length() != 26*time.Second {
		t.Errorf("%+v", s)
	}
}
