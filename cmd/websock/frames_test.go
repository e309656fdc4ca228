package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock/engine"
)

// frame returns one as a server sends it.
func frame(fin bool, op engine.Opcode, payload string) []byte {
	return append(engine.AppendHeader(nil, engine.Header{Fin: fin, Opcode: op, Length: int64(len(payload))}), payload...)
}

func TestFramesAreShownHoweverTheyComeIn(t *testing.T) {
	masked := []byte{0x81, 0x85, 1, 2, 3, 4, 'h' ^ 1, 'e' ^ 2, 'l' ^ 3, 'l' ^ 4, 'o' ^ 1}
	long := strings.Repeat("x", maxShown-1) + "é" + strings.Repeat("y", 1000)
	for _, test := range []struct {
		bytes []byte
		want  string
	}{
		{frame(true, engine.OpText, "hello"), "< text, 5 bytes: \"hello\"\n"},
		{masked, "< text, 5 bytes, masked with 01020304: \"hello\"\n"},
		{frame(true, engine.OpText, ""), "< text, 0 bytes\n"},
		{frame(false, engine.OpText, "a\x1bb"), "< text, 3 bytes, to be continued: \"a\\x1bb\"\n"},
		{frame(true, engine.OpContinuation, "c"), "< continuation, 1 bytes: \"c\"\n"},
		{frame(true, engine.OpPing, "\xff"), "< ping, 1 bytes\n<   00000000  ff                                                |.|\n"},
		{frame(true, engine.OpBinary, "hi"), "< binary, 2 bytes\n<   00000000  68 69                                             |hi|\n"},
		{frame(true, engine.OpClose, "\x03\xe8bye"), "< close, 5 bytes: 1000 (normal closure) \"bye\"\n"},
		{frame(true, engine.OpClose, "\x03"), "< close, 1 bytes: 03\n"},
		{frame(true, engine.OpText, long), "< text, 1,257 bytes: \"" + long[:maxShown-1] + "\"\n<   and 1,001 bytes more\n"},
		{[]byte{0xC1, 1, 0x80}, "< text, 1 bytes, RSV 100\n<   00000000  80                                                |.|\n"},
		{[]byte{0x83, 0, 0x81, 0}, "< no frame: 83 00\n"},
	} {
		all := append(frame(true, engine.OpPong, "before"), test.bytes...)
		want := "< pong, 6 bytes: \"before\"\n" + test.want
		for step := 1; step <= len(all); step++ {
			var out bytes.Buffer
			v := frameView{mark: "<", out: &out}
			for rest := all; len(rest) > 0; {
				n := min(step, len(rest))
				v.take(rest[:n])
				rest = rest[n:]
			}
			if out.String() != want {
				t.Fatalf("in steps of %d:\n%s, want\n%s", step, out.String(), want)
			}
		}
	}
}

func TestTextIsMadePrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain\ttext\n":           "plain\ttext\n",
		"grüße, 世界 🙂":             "grüße, 世界 🙂",
		"\x1b[2Jgone":             `\x1b[2Jgone`,
		"\r\a\x00\x7f":            `\r\a\x00\x7f`,
		"bad \xff\xc3 bytes":      `bad \xff\xc3 bytes`,
		"\u009b31m \u202e \u2028": `\u009b31m \u202e \u2028`,
		"'quoted' \"here\" \\":    `'quoted' "here" \`,
	} {
		if got := string(printable([]byte(text))); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
