package console

import "testing"

func TestGrouped(t *testing.T) {
	for n, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 123456.7: "123,457", 1234567: "1,234,567"} {
		if got := Grouped(n); got != want {
			t.Errorf("%v: %s, want %s", n, got, want)
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
		if got := string(Printable([]byte(text))); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
