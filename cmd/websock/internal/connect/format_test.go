package connect

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock"
)

func TestTerminalShowsTheBeginningOfALongMessage(t *testing.T) {
	long := []byte(strings.Repeat("a", maxDisplayed) + "the rest")
	for op, least := range map[websock.Opcode]int{websock.OpText: maxDisplayed, websock.OpBinary: 4 * maxDisplayed} {
		shown := string(new(Format).forTerminal(op, long))
		if !strings.HasSuffix(shown, "\n... and 8 bytes more") || strings.Contains(shown, "rest") || len(shown) < least {
			t.Errorf("%v: %d bytes, ending in %q", op, len(shown), shown[max(0, len(shown)-40):])
		}
		if shown := string(new(Format).forTerminal(op, long[:100])); strings.Contains(shown, "more") {
			t.Errorf("%v: %q", op, shown)
		}
	}
}

func TestJSONIsIndentedAndOtherwiseUnchanged(t *testing.T) {
	for text, want := range map[string]string{
		`{"b":1.0,"a":[1E+2,-0,123456789012345678901234567890],"b":2}`: "{\n  \"b\": 1.0,\n  \"a\": [\n    1E+2,\n    -0,\n    123456789012345678901234567890\n  ],\n  \"b\": 2\n}",
		"[ ]": "[]", `{"\"":{}}`: "{\n  \"\\\"\": {}\n}",
		`["[,{:\\","\u00e9é"]`: "[\n  \"[,{:\\\\\",\n  \"\\u00e9é\"\n]",
		"5":                    "5", `"x"`: `"x"`, "": "", "{": "{", "no JSON": "no JSON", "{}{}": "{}{}", "]]]]": "]]]]", `"\`: `"\`, "[1,]": "[1,]",
	} {
		got, isJSON := indented([]byte(text))
		if string(got) != want || isJSON != json.Valid([]byte(text)) {
			t.Errorf("%s: %s %v, want %s", text, got, isJSON, want)
		}
		if size := indentedSize([]byte(text)); size < len(want) {
			t.Errorf("%s: %d bytes, and not %d", text, len(want), size)
		}
	}
}

func TestNestedJSONThatWouldGrowTooMuchIsNotIndented(t *testing.T) {
	const depth = 5000
	text := []byte(strings.Repeat("[", depth) + strings.Repeat("1,", 10_000) + "1" + strings.Repeat("]", depth))
	if got, _ := indented(text); len(got) != len(text) {
		t.Errorf("%d bytes became %d", len(text), len(got))
	}
}

func TestJSONIsInColorOnATerminal(t *testing.T) {
	f := Format{Pretty: true, Color: true}
	const text = `{"k\u009bey":["string` + "\u009b" + `",1.50,true,null]}`
	plain := func(shown []byte) string { return regexp.MustCompile(`\x1b\[\d+m`).ReplaceAllString(string(shown), "") }
	shown := f.forTerminal(websock.OpText, []byte(text))
	if want := "{\n  \"k\\u009bey\": [\n    \"string\\u009b\",\n    1.50,\n    true,\n    null\n  ]\n}"; plain(shown) != want || bytes.Count(shown, []byte("\x1b[")) < 10 {
		t.Errorf("%q", shown)
	}
	for name, text := range map[string]string{"no JSON": "{1}", "binary": "[1]"} {
		op := websock.OpText
		if name == "binary" {
			op = websock.OpBinary
		}
		if shown := f.forTerminal(op, []byte(text)); bytes.Contains(shown, []byte("\x1b")) {
			t.Errorf("%s: %q", name, shown)
		}
	}
	cut := f.forTerminal(websock.OpText, []byte(`["`+strings.Repeat("x", 2*maxDisplayed)+`"]`))
	if i := bytes.LastIndex(cut, []byte("\x1b[")); !bytes.HasPrefix(cut[i:], []byte("\x1b[0m\n... and")) {
		t.Errorf("the color goes on: %q", cut[max(len(cut)-100, 0):])
	}
}

func TestBinaryMessagesAreDumpedInAPipeIfAsked(t *testing.T) {
	long := make([]byte, 2*maxDisplayed)
	hexed := string((&Format{Hex: true}).forPipe(websock.OpBinary, long))
	if !strings.HasPrefix(hexed, "binary, 131,072 bytes\n00000000  00 00") || !strings.Contains(hexed, "\n0001fff0  ") || strings.HasSuffix(hexed, "\n") {
		t.Errorf("%d bytes: %.100s", len(hexed), hexed)
	}
	for _, f := range []*Format{{}, {Hex: true, Pretty: true}} {
		if got := string(f.forPipe(websock.OpText, []byte("text"))); got != "text" {
			t.Errorf("%+v: %s", f, got)
		}
	}
	if got := string((&Format{Pretty: true}).forPipe(websock.OpBinary, []byte("[1]"))); got != "[1]" {
		t.Errorf("binary data is changed: %s", got)
	}
}
