package scenario

import (
	"testing"
	"time"
)

func TestTimesInMessages(t *testing.T) {
	at := time.UnixMicro(1_700_000_000_123_456)
	for _, test := range []struct {
		pushed, msg string
		want        time.Time // zero: none
	}{
		{"{json: t, unit: ms}", `{"t":1700000000123}`, at.Truncate(time.Millisecond)},
		{"{json: t, unit: ms}", `{"t":1700000000123.456}`, at},
		{"{json: t, unit: us}", `{"t":"1700000000123456"}`, at},
		{"{json: t, unit: ns}", `{"t":1700000000123456000}`, at},
		{"{json: t, unit: s}", `{"t":1700000000.123456}`, at},
		{"{json: t, unit: s}", `{"t":1.7e9}`, time.Unix(1_700_000_000, 0)},
		{"{json: a.0.t, unit: s}", `{"a":[{"t":1700000000}]}`, time.Unix(1_700_000_000, 0)},
		{"{json: t, unit: rfc3339}", `{"t":"2023-11-14T22:13:20.123456Z"}`, at},
		{"{regex: '^at (\\d+)', unit: s}", `at 1700000000, it was`, time.Unix(1_700_000_000, 0)},
		{"{json: t, unit: ms}", `{"t":null}`, time.Time{}},
		{"{json: t, unit: ms}", `{}`, time.Time{}},
		{"{json: t, unit: ms}", `not JSON`, time.Time{}},
		{"{json: t, unit: ms}", "\x00\xff\x80", time.Time{}},
		{"{json: t, unit: ms}", `{"t":-5}`, time.Time{}},
		{"{json: t, unit: ms}", `{"t":99999999999999999999}`, time.Time{}},
		{"{json: t, unit: ms}", `{"t":"1e400"}`, time.Time{}},
		{"{json: t, unit: ms}", `{"t":"0x10"}`, time.Time{}},
		{"{json: t, unit: rfc3339}", `{"t":1700000000}`, time.Time{}},
		{"{regex: 'a(b)?', unit: s}", `a`, time.Time{}},
	} {
		s := mustParse(t, "pushed: "+test.pushed)
		got, ok := s.pushed.in([]byte(test.msg))
		if ok == test.want.IsZero() || ok && !got.Equal(test.want) {
			t.Errorf("%s in %q: %v %v", test.pushed, test.msg, got, ok)
		}
	}
}

func TestMatchers(t *testing.T) {
	for _, test := range []struct {
		matcher, msg string
		want         bool
	}{
		{"any", "", true},
		{"{json: a}", `{"a":null}`, true},
		{"{json: a}", `{"b":1}`, false},
		{"{json: a, equals: 1}", `{"a":1}`, true},
		{"{json: a, equals: 1}", `{"a":"1"}`, true},
		{"{json: a, equals: 1}", `{"a":12}`, false},
		{"{json: a, equals: true}", `{"a":true}`, true},
		{"{json: '0', equals: x}", `["x"]`, true},
		{"{regex: '^ok'}", "ok then", true},
		{"{regex: '^ok'}", "not ok", false},
		{"{hex: 90 03}", "\x90\x03\x00", true},
		{"{hex: 90 03}", "\x90", false},
	} {
		s := mustParse(t, "count: {it: "+test.matcher+"}")
		if got := s.counts[0].matches([]byte(test.msg)); got != test.want {
			t.Errorf("%s in %q: %v", test.matcher, test.msg, got)
		}
	}
}
