package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// recordingOf returns the name of a recording of lines, after the first.
func recordingOf(t *testing.T, url string, lines ...string) string {
	t.Helper()
	text := fmt.Sprintf(`{"format":"websock recording","version":1,"start":"2026-01-02T03:04:05Z","url":%q}`+"\n", url)
	return writeRecording(t, text+strings.Join(lines, "\n")+"\n")
}

func writeRecording(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "recording")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// said is a line of a recording with a text message.
func said(at float64, by, text string) string {
	return fmt.Sprintf(`{"time":%g,"from":%q,"type":"text","text":%q}`, at, by, text)
}

func closed(at float64, by string, code int) string {
	return fmt.Sprintf(`{"time":%g,"from":%q,"type":"close","code":%d}`, at, by, code)
}

// readRecording returns the lines of a recording without their times.
func readRecording(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`"time":[0-9]+\.[0-9]{6},|"start":"[^"]*",`).ReplaceAll(text, nil)
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func TestConnectRecordsBothSides(t *testing.T) {
	url := startScriptedServer(t, func(conn *websock.Conn) {
		conn.RecvMessage(nil)
		conn.SendPing([]byte("server"))
		conn.SendBinary([]byte{0, 255})
		conn.RecvMessage(nil)
		conn.CloseWith(4000, "enough")
	})
	name := filepath.Join(t.TempDir(), "recording")
	got := command(t.Context(), "<hello>\n/ping client\n/binary go.mod\n", "connect", "-commands", "-record", name, "-wait", "1m", url+"/feed?token=s3cret")
	if got.code != 6 {
		t.Fatalf("%+v", got)
	}
	lines := readRecording(t, name)
	for _, want := range []string{
		`{"format":"websock recording","version":1,"url":"` + url + `/feed?token=xxxxx","query_hidden":true}`,
		`{"from":"client","type":"text","text":"<hello>"}`,
		`{"from":"server","type":"ping","binary":"c2VydmVy"}`,
		`{"from":"server","type":"binary","binary":"AP8="}`,
		`{"from":"client","type":"ping","binary":"Y2xpZW50"}`,
		`{"from":"server","type":"pong","binary":"Y2xpZW50"}`,
		`{"from":"server","type":"close","code":4000,"reason":"enough"}`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no %s in\n%s", want, strings.Join(lines, "\n"))
		}
	}
	if !strings.HasPrefix(lines[2], `{"from":"client","type":"`) && !strings.HasPrefix(lines[2], `{"from":"server","type":"`) || len(lines) != 8 {
		t.Errorf("%q", lines)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		t.Errorf("others may read it: %v, %v", info.Mode(), err)
	}
	again := command(t.Context(), "", "connect", "-record", name, url)
	if again.code != 1 || !strings.Contains(again.err, "exists") || len(readRecording(t, name)) != 8 {
		t.Errorf("a file that exists: %+v", again)
	}
	if got := command(t.Context(), "", "replay", name); got.code != 1 || !strings.Contains(got.err, "give the URL with -url") {
		t.Errorf("without the hidden value: %+v", got)
	}
	name += "2"
	command(t.Context(), "x\ny\n", "connect", "-record", name, "-record-query", "-wait", "1m", url+"/feed?token=s3cret")
	if lines := readRecording(t, name); !strings.Contains(lines[0], "?token=s3cret\"}") {
		t.Errorf("%q", lines)
	}
}

func TestARecordingHasEachConnection(t *testing.T) {
	var connections atomic.Int64
	url := startScriptedServer(t, func(conn *websock.Conn) {
		conn.SendText([]byte("hello"))
		if connections.Add(1) == 1 {
			conn.Abort(nil)
			return
		}
		conn.RecvMessage(nil)
	})
	name := filepath.Join(t.TempDir(), "recording")
	got := command(t.Context(), "", "connect", "-reconnect", "-count", "2", "-record", name, url)
	lines := readRecording(t, name)
	header, hello := `{"format":"websock recording","version":1,"url":"`+url+`"}`, `{"from":"server","type":"text","text":"hello"}`
	want := []string{header, hello, `{"from":"server","type":"lost","reason":"connection lost: 1006 (abnormal closure): unexpected EOF"}`, header, hello, `{"from":"client","type":"close","code":1000}`}
	if got.code != 0 || !slices.Equal(lines, want) {
		t.Errorf("%+v\n%s", got, strings.Join(lines, "\n"))
	}
	served, interrupt := startProgram(t, new(syncBuffer), "replay", "-serve", "0", "-check", name)
	got = command(t.Context(), "", "connect", "-reconnect", "-count", "2", served)
	if end := interrupt(); got.code != 0 || got.out != "hello\nhello\n" || end.code != 0 {
		t.Errorf("%+v %+v", got, end)
	}
}

// What was recorded with one server is played to it, by it, and by both.
func TestReplayRepeatsAConnection(t *testing.T) {
	url, _ := startServer(t)
	name := filepath.Join(t.TempDir(), "recording")
	got := command(t.Context(), "one\ntwo\nthree\n", "connect", "-record", name, "-count", "3", url)
	if got.code != 0 {
		t.Fatalf("%+v", got)
	}
	const asRecorded = "sent 3, received 3 of 3 messages in "
	for _, flags := range []string{"", "-speed 0", "-speed 0 -order", "-speed 100 -order -count 3 -compress", "-speed 0 -h2"} {
		if strings.Contains(flags, "-h2") {
			h2, _ := startServer(t, "-h2c")
			flags += " -url " + h2
		}
		got := command(t.Context(), "", slices.Concat([]string{"replay", "-check"}, strings.Fields(flags), []string{name})...)
		times := 1
		if strings.Contains(flags, "-count 3") {
			times = 3
		}
		if got.code != 0 || got.err != "" || strings.Count(got.out, asRecorded) != times || strings.Count(got.out, ", no differences\n") != times {
			t.Errorf("%s: %+v", flags, got)
		}
	}
	served, interrupt := startProgram(t, new(syncBuffer), "replay", "-serve", "0", "-check", "-order", "-speed", "0", name)
	got = command(t.Context(), "", "replay", "-check", "-order", "-speed", "0", "-url", served, name)
	end := interrupt()
	if got.code != 0 || end.code != 0 || !strings.Contains(got.out, ", no differences\n") || !strings.Contains(end.out, ", no differences") {
		t.Errorf("both: %+v %+v", got, end)
	}
}

func TestReplaySaysWhatIsDifferent(t *testing.T) {
	url, _ := startServer(t)
	closing := startScriptedServer(t, func(conn *websock.Conn) { // after two echoes
		for range 2 {
			if op, msg, err := conn.RecvMessage(nil); err == nil {
				conn.SendFrame(op, true, msg)
			}
		}
	})
	for _, test := range []struct {
		name  string
		flags string
		lines []string
		code  int
		says  string
	}{
		{"other content", "-check", []string{said(0, "client", "a"), said(0, "server", "b")}, 1, `message 1 is text "a", recorded is text "b"`},
		{"other type", "-check", []string{said(0, "client", "a"), `{"time":0,"from":"server","type":"binary","text":"a"}`}, 1, `message 1 is text "a", recorded is binary 61`},
		{"one missing", "-check -wait 100ms", []string{said(0, "server", "b")}, 1, `message 1 did not come: text "b"`},
		{"one more", "-check -url " + closing, []string{said(0, "client", "a"), said(0, "client", "b"), said(0, "server", "a"), closed(0, "server", 1000)}, 1, `message 2 is not in the recording: text "b"`},
		{"many", "-check -speed 0", slices.Concat(slices.Repeat([]string{said(0, "client", "a")}, 20), slices.Repeat([]string{said(0, "server", "b")}, 20)), 1, "20 different"},
		{"without -check", "", []string{said(0, "client", "a"), said(0, "server", "b")}, 0, "received 1 of 1 messages"},
		{"stuck", "-order -wait 100ms", []string{said(0, "server", "b"), said(0, "client", "a")}, 1, "a message that the recording has did not come"},
		{"not closed", "-wait 100ms", []string{closed(0, "server", 1000)}, 1, "the connection was not closed as recorded"},
		{"ignored", `-check -ignore [0-9]+`, []string{said(0, "client", "a1"), said(0, "server", "a22")}, 0, "no differences"},
		{"long", "-check", []string{said(0, "client", strings.Repeat("x", 1000)), said(0, "server", "")}, 1, "x\"... (1,000 bytes), recorded is text \"\""},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := recordingOf(t, url, test.lines...)
			got := command(t.Context(), "", slices.Concat([]string{"replay"}, strings.Fields(test.flags), []string{name})...)
			if got.code != test.code || !strings.Contains(got.out, test.says) || strings.Count(got.out, "\n") > 11 {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestReplayHasTheExitCodesOfConnect(t *testing.T) {
	ends := startScriptedServer(t, func(conn *websock.Conn) {
		switch _, msg, _ := conn.RecvMessage(nil); string(msg) {
		case "lose":
			conn.Abort(nil)
		case "close":
			conn.CloseWith(4000, "")
		case "stay":
			conn.RecvMessage(nil)
		case "leave":
			conn.CloseWith(websock.CloseGoingAway, "")
		}
	})
	refuses := httptest.NewServer(http.NotFoundHandler())
	defer refuses.Close()
	for _, test := range []struct {
		url   string
		lines []string
		code  int
	}{
		{unusedURL, nil, 3},
		{"ws" + strings.TrimPrefix(refuses.URL, "http"), nil, 4},
		{ends, []string{said(0, "client", "lose"), said(600, "client", "more")}, 5},
		{ends, []string{said(0, "client", "close"), said(600, "client", "more")}, 6},
		{ends, []string{said(0, "client", "leave"), said(600, "client", "more")}, 1},
		{ends, []string{said(0, "client", "close"), closed(0, "server", 4000)}, 0},
		{ends, []string{said(0, "client", "close"), closed(0, "server", 4001)}, 6},
		{ends, []string{said(0, "client", "lose"), `{"time":0,"from":"server","type":"lost"}`}, 0},
		{ends, []string{said(0, "client", "stay"), `{"time":0,"from":"server","type":"lost"}`}, 0},
		{ends, []string{said(0, "client", "stay"), closed(0, "client", 3000)}, 0},
		{ends, []string{said(0, "client", "lose"), said(0, "server", "answer")}, 5},
		{ends, []string{said(0, "client", "leave"), said(0, "server", "answer")}, 1},
		{ends, []string{said(0, "client", "leave")}, 0},
		{ends, nil, 0},
	} {
		got := command(t.Context(), "", "replay", "-wait", "1m", recordingOf(t, test.url, test.lines...))
		if got.code != test.code {
			t.Errorf("%q: %+v, want %d", test.lines, got, test.code)
		}
	}
	for range 10 { // the end of the connection counts, although the recorded one is due at the same time
		got := command(t.Context(), "", "replay", "-wait", "1m", recordingOf(t, ends, said(0, "client", "lose"), said(0, "server", "answer"), closed(0, "client", 1000)))
		if got.code != 5 {
			t.Errorf("%+v", got)
		}
	}
	echoes, _ := startServer(t)
	name := recordingOf(t, echoes, said(0, "client", "x"), said(600, "client", "y"))
	if got := command(interruptedAfter(t, 100*time.Millisecond), "", "replay", name); got.code != 130 {
		t.Errorf("interrupted: %+v", got)
	}
	if got := command(interruptedAfter(t, 100*time.Millisecond), "", "replay", "-count", "0", recordingOf(t, echoes)); got.code != 130 {
		t.Errorf("interrupted: %+v", got)
	}
}

// A server may need longer for the answer to a ping than a message is waited for.
func TestReplayDoesNotGiveUpAServerThatAnswersLate(t *testing.T) {
	url := startScriptedServer(t, func(conn *websock.Conn) {
		time.Sleep(time.Second)
		closedWith(conn)
	})
	name := recordingOf(t, url, said(0, "client", "a"), said(2, "client", "b"))
	if got := command(t.Context(), "", "replay", "-wait", "100ms", name); got.code != 0 || !strings.Contains(got.out, "sent 2,") {
		t.Errorf("%+v", got)
	}
}

func TestReplaySendsAtTheRecordedTimes(t *testing.T) {
	times := make(chan time.Time, 2)
	url := startScriptedServer(t, func(conn *websock.Conn) {
		for range 2 {
			conn.RecvMessage(nil)
			times <- time.Now()
		}
		conn.RecvMessage(nil)
	})
	name := recordingOf(t, url, said(0, "client", "a"), said(0.6, "client", "b"))
	for speed, least := range map[string]time.Duration{"1": 600 * time.Millisecond, "2": 300 * time.Millisecond, "0": 0} {
		begin := time.Now()
		if got := command(t.Context(), "", "replay", "-speed", speed, name); got.code != 0 {
			t.Errorf("%+v", got)
		}
		<-times
		if took := (<-times).Sub(begin); took < least {
			t.Errorf("with -speed %s the second was sent after %v, recorded is %v", speed, took, least)
		}
	}
}

func TestAServerPlaysARecordingToEveryClient(t *testing.T) {
	name := recordingOf(t, unusedURL, said(0, "server", "feed"), `{"time":0,"from":"server","type":"ping","text":"x"}`, said(0, "client", "go"), said(0, "server", "on"),
		`{"time":0,"from":"server","type":"close","code":4000,"reason":"enough"}`)
	url, interrupt := startProgram(t, new(syncBuffer), "replay", "-serve", "0", "-order", "-check", "-path", "/feed", name)
	if !strings.HasSuffix(url, "/feed") {
		t.Errorf("the URL is %s", url)
	}
	for range 2 {
		got := command(t.Context(), "go\n", "connect", "-wait", "1m", url)
		if got.code != 6 || got.out != "feed\non\n" || !strings.Contains(got.err, "4000: enough") {
			t.Errorf("%+v", got)
		}
	}
	got := command(t.Context(), "stop\n", "connect", "-wait", "1m", url)
	end := interrupt()
	if got.code != 6 || end.code != 1 || strings.Count(end.out, "no differences") != 2 || !strings.Contains(end.out, `: message 1 is text "stop", recorded is text "go"`) {
		t.Errorf("another one: %+v %+v", got, end)
	}
}

func TestAServerPlaysARecordingAgainAndAgain(t *testing.T) {
	for _, test := range []struct {
		count string
		lines []string
		want  []string
	}{
		{"3", []string{said(0, "server", "a"), said(0, "server", "b"), closed(0, "server", 1000)}, []string{"a", "b", "a", "b", "a", "b"}},
		{"0", []string{said(0, "server", "a"), closed(0, "server", 1000)}, slices.Repeat([]string{"a"}, 100)},
		{"0", []string{said(0, "client", "x"), closed(0, "server", 1000)}, nil}, // nothing to play
	} {
		url, interrupt := startProgram(t, new(syncBuffer), "replay", "-serve", "0", "-check", "-count", test.count, recordingOf(t, unusedURL, test.lines...))
		conn, err := websock.Dial(t.Context(), url, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range test.want {
			if _, msg, err := conn.RecvMessage(nil); err != nil || string(msg) != want {
				t.Fatalf("%q, %v, want %q", msg, err, want)
			}
		}
		if test.count == "3" {
			if _, msg, err := conn.RecvMessage(nil); err == nil {
				t.Errorf("%q after the end", msg)
			}
		}
		conn.Close()
		if end := interrupt(); end.code != 0 && test.want != nil {
			t.Errorf("%+v", end)
		}
	}
}

func TestAServerLosesTheConnectionAsRecorded(t *testing.T) {
	url, _ := startProgram(t, new(syncBuffer), "replay", "-serve", "0", recordingOf(t, unusedURL, said(0, "server", "a"), `{"time":0,"from":"server","type":"lost"}`))
	if got := command(t.Context(), "", "connect", "-wait", "1m", url); got.code != 5 || got.out != "a\n" {
		t.Errorf("%+v", got)
	}
}

func TestReplayAgreesToTheRecordedSubprotocol(t *testing.T) {
	name := writeRecording(t, `{"format":"websock recording","version":1,"url":"`+unusedURL+`","subprotocol":"v1"}`+"\n"+said(0, "server", "a")+"\n")
	url, _ := startProgram(t, new(syncBuffer), "replay", "-serve", "0", name)
	conn, err := websock.Dial(t.Context(), url, &websock.Config{Subprotocols: []string{"v0", "v1"}})
	if err != nil || conn.Subprotocol() != "v1" {
		t.Fatalf("%q, %v", conn.Subprotocol(), err)
	}
	conn.Close()
	if got := command(t.Context(), "", "replay", "-check", "-url", url, name); got.code != 0 {
		t.Errorf("%+v", got)
	}
}

// A program that is killed leaves a recording of all that it has shown.
func TestTheRecordingOfAKilledProgramIsPlayed(t *testing.T) {
	url, _ := startServer(t, "-push", "1ms")
	name := filepath.Join(t.TempDir(), "recording")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "connect", "-record", name, url)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	shown := make([]byte, 50*129) // messages of 128 bytes, and line endings
	if _, err := io.ReadFull(stdout, shown); err != nil {
		t.Error(err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	recorded, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(recorded, `{"time":1000,"from":"ser`) // as if it had been killed while it wrote
	recorded.Close()
	var stderr syncBuffer
	served, _ := startProgram(t, &stderr, "replay", "-serve", "0", "-speed", "0", name)
	got := command(t.Context(), "", "connect", "-count", "50", served)
	if got.code != 0 || got.out != string(shown) || !strings.Contains(stderr.String(), "the last line is cut off") {
		t.Errorf("%d %d bytes %s %s", got.code, len(got.out), got.err, stderr.String())
	}
}

func TestConnectEndsWhenItCanNotRecord(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("needs a device that is full")
	}
	url, _ := startServer(t, "-push", "1ms")
	got := command(t.Context(), "", "connect", "-record", "/dev/full", "-wait", "1m", url)
	if got.code != 1 || strings.Count(got.err, "no space left") != 1 {
		t.Errorf("%+v", got)
	}
}

// A client that doesn't read is waited for, and then given up; the others get theirs.
func TestAServerPlaysToAClientThatDoesNotRead(t *testing.T) {
	t.Parallel() // it takes the time of a closing handshake that isn't answered
	big := `{"time":0,"from":"server","type":"text","text":"` + strings.Repeat("x", 1<<20) + `"}`
	url, interrupt := startProgram(t, new(syncBuffer), "replay", "-serve", "0", recordingOf(t, unusedURL, slices.Repeat([]string{big}, 20)...))
	slow, err := websock.Dial(t.Context(), url, &websock.Config{NetDial: dialWithSmallBuffer})
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Abort(nil)
	if got := command(t.Context(), "", "connect", "-count", "20", url); got.code != 0 || len(got.out) != 20*(1<<20+1) {
		t.Errorf("%d, %d bytes, %s", got.code, len(got.out), got.err)
	}
	ended := make(chan outcome, 1)
	go func() { ended <- interrupt() }()
	select {
	case end := <-ended:
		if end.code != 0 {
			t.Errorf("%+v", end)
		}
	case <-time.After(time.Minute):
		t.Error("an interrupt has no effect")
	}
}

func TestARecordingCanNotControlTheTerminal(t *testing.T) {
	for _, url := range []string{`\u001b[2J`, `ws://a.example/?\u009b2J`, `ws://a.example/\u202e`} {
		got := command(t.Context(), "", "replay", writeRecording(t, `{"format":"websock recording","version":1,"query_hidden":true,"url":"`+url+`"}`+"\n"))
		if got.code == 0 || strings.ContainsAny(got.err, "\x1b\u009b\u202e") {
			t.Errorf("%d %+q", got.code, got.err)
		}
	}
}

func TestAnInterruptEndsReadingARecording(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	got := command(ctx, "", "replay", "-url", unusedURL, writeRecording(t, `{"format":"websock recording","version":1}`+"\n"))
	if got.code != 130 || got.err != "" {
		t.Errorf("%+v", got)
	}
}

func TestReplayOfAFileThatIsNoRecording(t *testing.T) {
	for text, says := range map[string]string{
		"":                            "no recording",
		"hello\n":                     "line 1: it is no recording",
		`{"format":"websock"}` + "\n": "line 1: it is no recording",
	} {
		got := command(t.Context(), "", "replay", writeRecording(t, text))
		if got.code != 1 || !strings.Contains(got.err, says) {
			t.Errorf("%q: %+v", text, got)
		}
	}
	if got := command(context.Background(), "", "replay", "/nowhere/at/all"); got.code != 1 || !strings.Contains(got.err, "/nowhere/at/all") {
		t.Errorf("%+v", got)
	}
}
