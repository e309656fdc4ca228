package connect

import (
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
		if got := string(indented([]byte(text))); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
		if size := indentedSize([]byte(text)); size < len(want) {
			t.Errorf("%s: %d bytes, and not %d", text, len(want), size)
		}
	}
}

func TestNestedJSONThatWouldGrowTooMuchIsNotIndented(t *testing.T) {
	const depth = 5000
	text := []byte(strings.Repeat("[", depth) + strings.Repeat("1,", 10_000) + "1" + strings.Repeat("]", depth))
	if got := indented(text); len(got) != len(text) {
		t.Errorf("%d bytes became %d", len(text), len(got))
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
