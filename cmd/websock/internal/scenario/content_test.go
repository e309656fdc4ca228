package scenario

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// rendered returns a message of the second connection, number 7 of it.
func rendered(t *testing.T, send string) string {
	t.Helper()
	s := mustParse(t, "data: users.csv\nopen: [{send: "+send+"}]")
	v := &values{Connection: 1, Sequence: 7, Time: time.UnixMicro(1_234_567_890_123_456).UTC(), Data: s.data.row(1)}
	b, err := s.opening[0].content.append([]byte("before "), v)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(string(b), "before ")
}

func TestContentOfMessages(t *testing.T) {
	for send, want := range map[string]string{
		`'plain'`:                              "plain",
		`''`:                                   "",
		`42`:                                   "42",
		`'{{.Connection}}/{{.Sequence}}'`:      "1/7",
		`'{{.Data.token}}'`:                    "with, comma",
		`'{{json .Data.token}}'`:               `"with, comma"`,
		`'{{.Time.Unix}} {{.Time.UnixMilli}}'`: "1234567890 1234567890123",
		`'{{.Time.UnixMicro}} {{ .Time.UnixNano }}'`:       "1234567890123456 1234567890123456000",
		`'{{.Time.Format "15:04:05"}}'`:                    "23:31:30",
		`'{{if eq .Connection 1}}one{{else}}other{{end}}'`: "one",
		`'{{/* nothing */}}{{random 1}}'`:                  "0",
		`'{{mod 7 4}}'`:                                    "3",
		`'{{base64 "a:b"}}'`:                               "YTpi",
		`{file: subscribe.txt}`:                            files["subscribe.txt"],
		`{template-file: hello.tmpl}`:                      "hello bob",
		`{binary-file: bytes.bin}`:                         "\x00\xff",
		`{hex: "00 ff\n0{{.Sequence}}"}`:                   "\x00\xff\x07",
		`{base64: 'aGk'}`:                                  "hi",
	} {
		if got := rendered(t, send); got != want {
			t.Errorf("%s: %q, not %q", send, got, want)
		}
	}
	for send, pattern := range map[string]string{
		`'{{randomText 20}}'`: `^[a-zA-Z0-9]{20}$`,
		`'{{random 1000}}'`:   `^\d{1,3}$`,
		`'{{uuid}}'`:          `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`,
	} {
		if got, again := rendered(t, send), rendered(t, send); !regexp.MustCompile(pattern).MatchString(got) || len(pattern) > 12 && got == again {
			t.Errorf("%s: %q", send, got)
		}
	}
}

func TestCommonMessagesAreMadeWithoutAllocating(t *testing.T) {
	s := mustParse(t, `open: [{send: '{"id":{{.Sequence}},"c":{{.Connection}},"t":{{.Time.UnixMilli}},"r":{{random 1000}}}'}]`)
	c, v, buffer := s.opening[0].content, &values{Time: time.Now()}, make([]byte, 0, 1000)
	if n := testing.AllocsPerRun(100, func() {
		v.Sequence++
		buffer, _ = c.append(buffer[:0], v)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
