package assign

import (
	"regexp"
	"testing"
)

func TestKeysAreEscaped(t *testing.T) {
	for key, want := range map[string]string{
		"":            "=",
		"BTC-USDT":    "BTC-USDT",
		"a.b.c":       "a.b.c",
		"a/b_c":       "a/b_c",
		".":           "=2E",
		"..":          "=2E=2E",
		".a":          "=2Ea",
		"a.":          "a=2E",
		"a..b":        "a=2E.b",
		"a...b":       "a=2E=2E.b",
		"=":           "=3D",
		"a=41":        "a=3D41",
		"a b":         "a=20b",
		"*":           "=2A",
		"a.>":         "a.=3E",
		"wss://x?y=1": "wss=3A//x=3Fy=3D1",
		"é":           "=C3=A9",
		"\x00\xff":    "=00=FF",
		"a.=":         "a.=3D",
	} {
		if got := Escape(key); got != want {
			t.Errorf("Escape(%q) = %q, want %q", key, got, want)
		}
		if got, ok := Unescape(want); got != key || !ok {
			t.Errorf("Unescape(%q) = %q, %v, want %q", want, got, ok, key)
		}
	}
}

func TestWhatEscapeNeverReturnsIsNoKey(t *testing.T) {
	for _, s := range []string{
		"", ".", "a.", ".a", "a..b", "a b", "é", "*", "a.>", // not escaped
		"=4", "a=", "==", "=4g", "=ZZ", "=2e", // no two digits
		"=41", "a=2Eb", "=2F", // need not be escaped
	} {
		if got, ok := Unescape(s); ok {
			t.Errorf("Unescape(%q) = %q, true", s, got)
		}
	}
}

// valid is what nats.go accepts as the key of a bucket, without empty tokens. As part of a subject
// it has no wildcard and no white space.
var valid = regexp.MustCompile(`^[-/_=a-zA-Z0-9]+(\.[-/_=a-zA-Z0-9]+)*$`)

func FuzzEscape(f *testing.F) {
	for _, seed := range []string{"", ".", "a..b", "=", "a=41", "é", "\xff", "a.b", "..."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		escaped := Escape(s)
		if !valid.MatchString(escaped) {
			t.Fatalf("Escape(%q) = %q, which isn't valid", s, escaped)
		}
		if got, ok := Unescape(escaped); got != s || !ok {
			t.Fatalf("Unescape(Escape(%q)) = %q, %v", s, got, ok)
		}
		if key, ok := Unescape(s); ok && Escape(key) != s {
			t.Fatalf("Unescape(%q) = %q, of which Escape makes %q", s, key, Escape(key))
		}
	})
}
