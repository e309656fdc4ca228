package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
)

const firstLine = `{"format":"websock recording","version":1,"start":"2026-01-02T03:04:05Z","url":"ws://127.0.0.1/"}` + "\n"

// write writes a recording of text to a file.
func write(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "recording")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// eventsOf returns the events of a connection of a recording.
func eventsOf(t testing.TB, f *File, i int) (Header, []Event) {
	t.Helper()
	conn, err := f.Conn(i)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var events []Event
	for {
		e, err := conn.Next()
		if errors.Is(err, io.EOF) {
			return conn.Header, events
		}
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "recording")
	synctest.Test(t, func(t *testing.T) {
		w, err := Create(name)
		if err != nil {
			t.Fatal(err)
		}
		w.Begin(Header{URL: "ws://a/?b=xxxxx", QueryHidden: true, Subprotocol: "v1"})
		w.Message(websock.Client, websock.OpText, []byte("<a> & \u2028 \"b\"\n\x00ü"))
		w.Message(websock.Client, websock.OpText, []byte("not UTF-8 \xff")) // can't be sent
		time.Sleep(1500 * time.Microsecond)
		w.Message(websock.Server, websock.OpBinary, nil)
		w.Message(websock.Server, websock.OpPing, []byte{0, 255})
		time.Sleep(time.Hour)
		w.End(&websock.CloseError{Code: websock.CloseNoStatus})
		w.Message(websock.Server, websock.OpText, []byte("nothing follows the end"))
		w.End(io.EOF)
		w.Begin(Header{URL: "ws://a/"})
		w.End(&websock.CloseError{Code: websock.CloseNormal, Local: true})
		w.Begin(Header{URL: "ws://a/"})
		w.End(&websock.CloseError{Code: 4000, Reason: "enough", Local: true, Err: websock.ErrClosed})
		w.Begin(Header{URL: "ws://a/"})
		w.End(&websock.CloseError{Code: websock.CloseAbnormal, Err: io.ErrUnexpectedEOF})
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	})
	f, err := Open(t.Context(), name)
	if err != nil || f.Conns() != 4 || f.Cut {
		t.Fatalf("%+v, %v", f, err)
	}
	header, got := eventsOf(t, f, 0)
	if header.Start.IsZero() || header.URL != "ws://a/?b=xxxxx" || !header.QueryHidden || header.Subprotocol != "v1" {
		t.Errorf("%+v", header)
	}
	want := []Event{
		{0, websock.Client, websock.OpText, []byte("<a> & \u2028 \"b\"\n\x00ü"), 0, ""},
		{1500 * time.Microsecond, websock.Server, websock.OpBinary, []byte{}, 0, ""},
		{1500 * time.Microsecond, websock.Server, websock.OpPing, []byte{0, 255}, 0, ""},
		{time.Hour + 1500*time.Microsecond, websock.Server, websock.OpClose, nil, websock.CloseNoStatus, ""},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for i, want := range []Event{
		{0, websock.Client, websock.OpClose, nil, websock.CloseNormal, ""},
		{0, websock.Client, websock.OpClose, nil, 4000, "enough"},
		{0, websock.Server, Lost, nil, 0, "connection lost: 1006 (abnormal closure): unexpected EOF"},
	} {
		if _, got := eventsOf(t, f, i+1); !reflect.DeepEqual(got, []Event{want}) {
			t.Errorf("connection %d: %+v, want %+v", i+1, got, want)
		}
	}
}

func TestARecordingIsOnlyForItsUserAndReplacesNoFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "recording")
	w, err := Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	if info, err := os.Stat(name); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := Create(name); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file that exists: %v", err)
	}
	if w, err := Create(os.DevNull); err != nil || w.Close() != nil {
		t.Errorf("a device: %v", err)
	}
}

func TestEachLineIsOneWriteAndAnErrorStays(t *testing.T) {
	out := &countingFile{failAt: 3}
	w := &Writer{file: out}
	if err := errors.Join(w.Begin(Header{}), w.Message(websock.Client, websock.OpText, bytes.Repeat([]byte("x"), 1<<20))); err != nil {
		t.Fatal(err)
	}
	if out.writes != 2 || !strings.HasSuffix(out.String(), "\"}\n") {
		t.Errorf("%d writes", out.writes)
	}
	for range 2 {
		if err := w.Message(websock.Client, websock.OpText, nil); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("got %v", err)
		}
	}
	if err := w.Close(); !errors.Is(err, fs.ErrInvalid) || out.writes != 3 {
		t.Errorf("close: %v after %d writes", err, out.writes)
	}
	w = &Writer{file: new(countingFile)}
	if err := errors.Join(w.Begin(Header{}), w.Message(websock.Server, websock.OpBinary, make([]byte, MaxMessage+1))); !errors.Is(err, errTooLarge) {
		t.Errorf("a message that no reader accepts: %v", err)
	}
}

func TestTheLargestMessageIsRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "recording")
	w, err := Create(name)
	if err != nil {
		t.Fatal(err)
	}
	largest := bytes.Repeat([]byte{1}, MaxMessage) // six bytes of JSON for each
	w.Begin(Header{URL: "ws://a/"})
	w.Message(websock.Server, websock.OpText, largest)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	in := newLineReader(file)
	in.next()
	if _, e, err := in.next(); err != nil || !bytes.Equal(e.Payload, largest) {
		t.Errorf("%d bytes, %v", len(e.Payload), err)
	}
}

// A program that is killed leaves a recording that ends anywhere.
func TestARecordingThatIsCutOffIsReadUpToTheCut(t *testing.T) {
	const message = `{"time":0.5,"from":"server","type":"text","text":"hello"}`
	whole := firstLine + message + "\n" + message + "\n"
	for cut := len(firstLine) - 1; cut <= len(whole); cut++ {
		f, err := Open(t.Context(), write(t, whole[:cut]))
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		_, events := eventsOf(t, f, 0)
		rest := cut - len(firstLine)
		want, wantCut := 0, rest > 0
		for _, end := range []int{len(message), 2*len(message) + 1} {
			if rest >= end {
				want++
			}
			if rest == end || rest == end+1 {
				wantCut = false
			}
		}
		if len(events) != want || f.Cut != wantCut {
			t.Errorf("cut at %d: %d events, cut %v; want %d, %v", cut, len(events), f.Cut, want, wantCut)
		}
	}
}

func TestALineThatCanNotBePartOfARecordingIsNamed(t *testing.T) {
	const message = `{"time":0.5,"from":"server","type":"text","text":"hello"}`
	for _, test := range []struct {
		text string
		line int
		says string
	}{
		{"", 0, "no recording"},
		{"hello", 0, "no recording"},
		{"hello\n", 1, "no recording"},
		{message + "\n", 1, "no recording"},
		{`{"format":"something"}` + "\n", 1, "no recording"},
		{`{"format":"websock recording","version":2}` + "\n", 1, "newer version"},
		{`{"format":"websock recording"}` + "\n", 1, "no version 0"},
		{firstLine + "hello\n" + message + "\n", 2, "invalid character"},
		{firstLine + "null\n", 2, `"from" is client or server`},
		{firstLine + `{"time":0,"from":"me","type":"text","text":""}` + "\n", 2, `"from" is client or server, not "me"`},
		{firstLine + `{"time":0,"from":"client","type":"words","text":""}` + "\n", 2, `no type "words"`},
		{firstLine + `{"from":"client","type":"text","text":""}` + "\n", 2, "no time"},
		{firstLine + `{"time":-1,"from":"client","type":"text","text":""}` + "\n", 2, "-1 is no number of seconds"},
		{firstLine + `{"time":1e300,"from":"client","type":"text","text":""}` + "\n", 2, "1e300 is no number of seconds"},
		{firstLine + `{"time":0,"from":"client","type":"text"}` + "\n", 2, `either a "text" or a "binary"`},
		{firstLine + `{"time":0,"from":"client","type":"text","text":"","binary":""}` + "\n", 2, `either a "text" or a "binary"`},
		{firstLine + `{"time":0,"from":"client","type":"binary","binary":"?"}` + "\n", 2, "base64"},
		{firstLine + `{"time":0,"from":"client","type":"text","binary":"/w=="}` + "\n", 2, "UTF-8"},
		{firstLine + `{"time":0,"from":"client","type":"ping","text":"` + strings.Repeat("x", 126) + `"}` + "\n", 2, "125"},
		{firstLine + `{"time":0,"from":"client","type":"close","code":1006}` + "\n", 2, "close code"},
		{firstLine + `{"time":0,"from":"client","type":"close","code":70000}` + "\n", 2, "70000"},
		{firstLine + `{"time":0,"from":"client","type":"lost"}` + "\n" + message + "\n", 3, "follows the end"},
		{firstLine + `{"time":1,"from":"client","type":"pong","binary":""}` + "\n\n" + message + "\n", 4, "before that of the line above"},
		{firstLine + `{"time":0,"from":"me","type":"text","text":""}`, 2, `"from" is client or server, not "me"`}, // complete, so not cut off
		{`{"format":"websock recording","version":2}`, 1, "newer version"},
		{firstLine + "[]\n", 2, "it is no JSON object, but array"},
		{firstLine + `{"time":"now"}` + "\n", 2, `"time" can't be a JSON string`},
		{firstLine + `{"time":0,"text":7}` + "\n", 2, `"text" can't be a JSON number`},
		{firstLine + strings.Repeat(" ", maxLine+1) + "\n", 2, "too long"},
	} {
		_, err := Open(t.Context(), write(t, test.text))
		var syntax *SyntaxError
		if err == nil || !strings.Contains(err.Error(), test.says) || errors.As(err, &syntax) != (test.line > 0) || test.line > 0 && syntax.Line != test.line {
			t.Errorf("%.200q: %v, want line %d: %s", test.text, err, test.line, test.says)
		}
	}
	if _, err := Open(t.Context(), t.TempDir()); err == nil {
		t.Error("a directory is no recording")
	}
}

func TestReadingEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if f, err := Open(ctx, write(t, firstLine)); f != nil || !errors.Is(err, context.Canceled) {
		t.Error(f, err)
	}
}

func TestAFileThatChangesWhileItIsReadIsAnError(t *testing.T) {
	name := write(t, firstLine+firstLine)
	f, err := Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(firstLine), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := f.Conn(1); err == nil {
		t.Errorf("%+v", c)
	}
}

func TestValuesInTheQueryAreHidden(t *testing.T) {
	for url, want := range map[string]string{
		"ws://a/b":                   "ws://a/b",
		"ws://a/b?":                  "ws://a/b?",
		"ws://a/b?token=s3cret":      "ws://a/b?token=xxxxx",
		"ws://a/b?s3cret":            "ws://a/b?xxxxx",
		"ws://a/b?c=d=s3cret&s3cret": "ws://a/b?c=xxxxx&xxxxx",
	} {
		got, changed := HideQuery(url)
		if got != want || changed != (got != url) {
			t.Errorf("%s: %s, %v", url, got, changed)
		}
	}
}

// FuzzOpen reads any file. Opening never fails in an undocumented way, what it accepts can be read, and a
// recording of what was read is equal.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(firstLine + `{"time":0.5,"from":"server","type":"text","text":"hello"}` + "\n" + `{"time":61,"from":"client","type":"close","code":1001,"reason":"x"}` + "\n" + firstLine))
	f.Add([]byte(firstLine + `{"time":1e-7,"from":"client","type":"ping","binary":"AP8="}` + "\n" + `{"time":9,"from":"server","type":"lost"}`))
	f.Add([]byte("\n\n" + firstLine + "{"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Open(t.Context(), write(t, string(text)))
		if err != nil {
			var path *fs.PathError
			if !errors.As(err, &path) {
				t.Errorf("not a *fs.PathError: %v", err)
			}
			return
		}
		var again countingFile
		w := &Writer{file: &again}
		for i := range file.Conns() {
			header, events := eventsOf(t, file, i)
			w.writeLocked(headerLine{format, version, header.Start, header.URL, header.QueryHidden, header.Subprotocol})
			for _, e := range events {
				w.writeLocked(newEventLine(&e))
			}
		}
		if w.err != nil {
			t.Skip(w.err) // a year that JSON can't have
		}
		copied, err := Open(t.Context(), write(t, again.String()))
		if err != nil || copied.Conns() != file.Conns() {
			t.Fatalf("%v\n%s", err, again.Bytes())
		}
		for i := range file.Conns() {
			_, want := eventsOf(t, file, i)
			_, got := eventsOf(t, copied, i)
			for j := range want {
				want[j].Time = want[j].Time.Round(time.Microsecond)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		}
	})
}
