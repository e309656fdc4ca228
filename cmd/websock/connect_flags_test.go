package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// closedWith is what a server has received last: the close frame of its client.
func closedWith(conn *websock.Conn) string {
	for {
		if _, _, err := conn.RecvMessage(nil); err != nil {
			return strings.TrimPrefix(err.Error(), "websock: ")
		}
	}
}

func TestConnectSendsOneMessage(t *testing.T) {
	url := startScriptedServer(t, func(conn *websock.Conn) {
		op, msg, _ := conn.RecvMessage(nil)
		conn.SendText(fmt.Appendf(nil, "%v %d %q", op, len(msg), msg[:min(len(msg), 20)]))
		closedWith(conn)
	})
	long := strings.Repeat("line\n", 100_000)
	for _, test := range []struct {
		stdin string
		flags []string
		want  string
	}{
		{"a\nb\r\n\n", nil, `text 6 "a\nb\r\n\n"`},
		{"/close\n//x", nil, `text 10 "/close\n//x"`},
		{"", nil, `text 0 ""`},
		{"\xff\n", []string{"-binary"}, `binary 2 "\xff\n"`},
		{long, nil, `text 500000 "line\nline\nline\nline\n"`},
	} {
		got := command(t.Context(), test.stdin, slices.Concat([]string{"connect", "-one", "-count", "1"}, test.flags, []string{url})...)
		if got.code != 0 || got.out != test.want+"\n" {
			t.Errorf("%.20q: %+v, want %s", test.stdin, got, test.want)
		}
	}
	if got := command(t.Context(), "\xff", "connect", "-one", "-wait", "0s", url); got.code != 1 || !strings.Contains(got.err, "not UTF-8") {
		t.Errorf("%+v", got)
	}
	var out, stderr syncBuffer
	code := run(t.Context(), []string{"connect", "-one", "-wait", "0s", url}, endlessLine{}, &out, &stderr)
	if code != 1 || !strings.Contains(stderr.String(), "the input has more than 16,777,216 bytes") {
		t.Errorf("%d %s", code, stderr.String())
	}
}

func TestConnectCountsMessages(t *testing.T) {
	url := startScriptedServer(t, func(conn *websock.Conn) {
		for i := range 5 {
			conn.SendText(fmt.Append(nil, i))
		}
		closedWith(conn)
	})
	for _, test := range []struct {
		flags     []string
		code      int
		out, last string
	}{
		{[]string{"-count", "3"}, 0, "0\n1\n2\n", "closed by us: 1000 (normal closure)\n"},
		{[]string{"-count", "5", "-wait", "1m"}, 0, "0\n1\n2\n3\n4\n", "closed by us: 1000 (normal closure)\n"},
		{[]string{"-count", "6", "-wait", "0s"}, 1, "0\n1\n2\n3\n4\n", "5 of 6 messages came\n"},
	} {
		got := commandUntil(t, "4\n", "", slices.Concat([]string{"connect"}, test.flags, []string{url})...)
		if got.code != test.code || got.out != test.out || !strings.HasSuffix(got.err, test.last) {
			t.Errorf("%v: %+v", test.flags, got)
		}
	}
}

func TestConnectWithACountWaitsWithoutLimit(t *testing.T) {
	t.Parallel() // it takes longer than the default of -wait
	url := startScriptedServer(t, func(conn *websock.Conn) {
		conn.SendText([]byte("first"))
		<-t.Context().Done()
	})
	stdin, keep := io.Pipe()
	defer keep.Close()
	var out, stderr syncBuffer
	ctx := interruptedAfter(t, 3*time.Second) // the default of -wait would end it
	go keep.Close()
	if code := run(ctx, []string{"connect", "-count", "2", url}, stdin, &out, &stderr); code != 130 {
		t.Errorf("%d %s %s", code, out.String(), stderr.String())
	}
}

func TestConnectClosesWithACodeAndReason(t *testing.T) {
	heard := make(chan string, 1)
	url := startScriptedServer(t, func(conn *websock.Conn) { heard <- closedWith(conn) })
	for _, test := range []struct{ stdin, flags, want string }{
		{"", "-wait 0s", "1000 (normal closure)"},
		{"", "-wait 0s -close 4001", "4001"},
		{"", "-wait 0s -close 1011,out,of_order", "1011 (internal error): out,of_order"},
		{"/close\n", "-commands", "1000 (normal closure)"},
		{"/close\n", "-commands -close 4000,by", "4000: by"},
		{"/close 4002\n", "-commands -close 4000", "4002"},
		{"/close 4003 see you\n", "-commands", "4003: see you"},
		{"/close 99\n/close 4004\n", "-commands", "4004"},
	} {
		for _, more := range [][]string{nil, {"-json"}} {
			got := command(t.Context(), test.stdin, slices.Concat([]string{"connect"}, more, strings.Fields(test.flags), []string{url})...)
			code := 0
			if strings.Contains(test.stdin, "99") { // refused
				code = 1
			}
			if told := <-heard; told != "closed by the peer: "+test.want || got.code != code {
				t.Errorf("%q %s: the server was told %q, %+v", test.stdin, test.flags, told, got)
			}
			if more == nil && !strings.HasSuffix(got.err, "closed by us: "+test.want+"\n") {
				t.Errorf("%q %s: %+v", test.stdin, test.flags, got)
			}
		}
	}
}

func TestInterruptedConnectClosesWithTheCode(t *testing.T) {
	heard := make(chan string, 1)
	url := startScriptedServer(t, func(conn *websock.Conn) {
		conn.SendText([]byte("hello"))
		heard <- closedWith(conn)
	})
	stdin, keep := io.Pipe()
	defer keep.Close()
	var out, stderr syncBuffer
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		defer interrupt()
		waitUntil(t, "it is connected", func() bool { return out.String() != "" })
	}()
	code := run(ctx, []string{"connect", "-close", "4000", url}, stdin, &out, &stderr)
	if told := <-heard; code != 130 || told != "closed by the peer: 4000" {
		t.Errorf("%d, %s", code, told)
	}
}

func TestConnectTakesCommandsInAPipeIfAsked(t *testing.T) {
	url, _ := startServer(t)
	file := filepath.Join(t.TempDir(), "some file")
	os.WriteFile(file, []byte{0, 255, '\n'}, 0o600)
	large := filepath.Join(t.TempDir(), "large")
	os.WriteFile(large, nil, 0o600)
	os.Truncate(large, 16<<20+1)
	stdin := "/pong\n/help\n/ping\n/ping two words\n//slash\n///\nplain /ping\n/binary " + file + "\n"
	for _, flags := range [][]string{{}, {"-commands=false"}} {
		got := command(t.Context(), stdin, slices.Concat([]string{"connect", "-count", "8"}, flags, []string{url})...)
		if got.code != 0 || got.out != stdin {
			t.Errorf("%v: %+v", flags, got)
		}
	}
	got := command(t.Context(), stdin, "connect", "-commands", "-count", "4", url)
	if got.code != 0 || got.out != "/slash\n//\nplain /ping\n\x00\xff\n\n" {
		t.Errorf("%+v", got)
	}
	for _, text := range []string{"pong \"1\" after ", "pong \"two words\" after ", "/binary FILE  "} {
		if !strings.Contains(got.err, text) {
			t.Errorf("no %q in %s", text, got.err)
		}
	}
	for line, text := range map[string]string{
		"/unknown\x1b[2J":              `not sent: there is no command /unknown\x1b[2J (`,
		"/":                            "not sent: there is no command / (",
		"/ping " + long126:             "not sent: control frame",
		"/pong " + long126:             "not sent: control frame",
		"/close now":                   `not sent: "now" is no close code`,
		"/close 1006":                  "not sent: close code 1006 must not be sent",
		"/close 1000 " + long126:       "not sent: a reason has at most 123 bytes",
		"/binary":                      "not sent: /binary takes the name of a file",
		"/binary /nowhere\x1b[2J":      `not sent: stat /nowhere\x1b[2J: no such file`,
		"/binary " + os.TempDir():      "is no regular file",
		"/binary " + os.DevNull:        "is no regular file",
		"/binary " + large:             "has more than 16,777,216 bytes",
		"b\xffd":                       "not sent: this is not UTF-8",
		"/close 1000 b\xffd":           "not sent: ",
		"/unknown " + long126 + "\x00": "not sent: there is no command /unknown (",
	} {
		got := command(t.Context(), line+"\n//ok\n", "connect", "-commands", "-count", "1", url)
		if got.code != 1 || got.out != "/ok\n" || !strings.Contains(got.err, text) || strings.ContainsRune(got.err, '\x1b') {
			t.Errorf("%.40q: %+v, want %s", line, got, text)
		}
	}
}

var long126 = strings.Repeat("x", 126)

func TestConnectPings(t *testing.T) {
	url, _ := startServer(t, "-h2c")
	for _, flags := range [][]string{nil, {"-h2"}} {
		args := slices.Concat([]string{"connect", "-ping", "200ms", "-wait", "0s"}, flags)
		got := commandUntil(t, "pong \"2\" after ", "", append(args, url)...)
		if got.code != 0 || !strings.Contains(got.err, "pong \"1\" after ") || !strings.Contains(got.err, "pong \"2\" after ") {
			t.Errorf("%v: %+v", flags, got)
		}
		got = commandUntil(t, `"text":"2"`, "", append(args, "-json", url)...)
		pongs := 0
		for line := range strings.Lines(got.out) {
			var e struct {
				Event, Text string
				RoundTrip   int64 `json:"round_trip_us"`
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			if e.Event == "pong" && e.RoundTrip > 0 {
				if pongs++; e.Text != fmt.Sprint(pongs) {
					t.Errorf("pong %d is %q", pongs, e.Text)
				}
			}
		}
		if got.code != 0 || got.err != "" || pongs < 2 {
			t.Errorf("%v: %+v", flags, got)
		}
	}
}

func TestConnectEndsWhenPingsAreNotAnswered(t *testing.T) {
	stop := make(chan struct{})
	url := startScriptedServer(t, func(*websock.Conn) { <-stop }) // it reads nothing
	t.Cleanup(func() { close(stop) })
	silent, keep := io.Pipe()
	t.Cleanup(func() { keep.Close() })
	for name, stdin := range map[string]io.Reader{"nothing is sent": silent, "what is sent waits for the server": endlessLines{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it takes as long as the server has to be silent
			var out, stderr syncBuffer
			code := run(t.Context(), []string{"connect", "-ping", "1s", url}, stdin, &out, &stderr)
			if code != 5 || !strings.Contains(stderr.String(), "nothing was received for too long") {
				t.Errorf("%d %s", code, stderr.String())
			}
		})
	}
}

func TestConnectShowsHexAndJSONAndTimes(t *testing.T) {
	url := startScriptedServer(t, func(conn *websock.Conn) {
		conn.SendBinary([]byte("\x00binary"))
		conn.SendText([]byte(`{"b":1.50,"a":["\u00e9",1e400]}`))
		conn.SendText([]byte("{no JSON"))
		closedWith(conn)
	})
	const plain = "\x00binary\n" + `{"b":1.50,"a":["\u00e9",1e400]}` + "\n{no JSON\n"
	for flags, want := range map[string]string{
		"":        plain,
		"-hex":    "binary, 7 bytes\n00000000  00 62 69 6e 61 72 79                              |.binary|\n" + plain[8:],
		"-pretty": "\x00binary\n{\n  \"b\": 1.50,\n  \"a\": [\n    \"\\u00e9\",\n    1e400\n  ]\n}\n{no JSON\n",
	} {
		got := command(t.Context(), "", slices.Concat([]string{"connect", "-count", "3"}, strings.Fields(flags), []string{url})...)
		if got.code != 0 || got.out != want {
			t.Errorf("%s: %+v", flags, got)
		}
	}
	got := command(t.Context(), "", "connect", "-count", "3", "-time", url)
	var open, previous [3]float64
	_, err := fmt.Sscanf(got.out, "[%fs +%fs] \x00binary\n[%fs +%fs] {\"b\":1.50,\"a\":[\"\\u00e9\",1e400]}\n[%fs +%fs] {no JSON\n",
		&open[0], &previous[0], &open[1], &previous[1], &open[2], &previous[2])
	if err != nil || got.code != 0 || open[2] < open[1] {
		t.Errorf("%+v, %v", got, err)
	}
	got = command(t.Context(), "", "connect", "-count", "3", "-time", "-json", url)
	if got.code != 0 || strings.Count(got.out, `"since_open_us":`) != 3 || strings.Count(got.out, `"since_previous_us":`) != 3 {
		t.Errorf("%+v", got)
	}
}

// startFailingServer calls one function after the other with the connections that it accepts. It
// refuses others with status 404.
func startFailingServer(t *testing.T, fs ...func(*websock.Conn)) (url string, tries func() int) {
	var n atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := int(n.Add(1)) - 1
		switch {
		case i >= len(fs):
			http.Error(w, "gone", http.StatusNotFound)
			return
		case fs[i] == nil:
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fs[i](conn)
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http"), func() int { return int(n.Load()) }
}

func TestConnectDialsAgain(t *testing.T) {
	greet := func(text string, end func(*websock.Conn)) func(*websock.Conn) {
		return func(conn *websock.Conn) { conn.SendText([]byte(text)); end(conn) }
	}
	abort := func(conn *websock.Conn) { conn.Abort(nil) }
	ends := func(code websock.CloseCode) func(*websock.Conn) {
		return func(conn *websock.Conn) { conn.CloseWith(code, "") }
	}
	for _, flags := range [][]string{nil, {"-json"}} {
		url, tries := startFailingServer(t, nil, greet("one", abort), greet("two", ends(1000)), nil, greet("three", ends(4000)))
		stdin, keep := io.Pipe()
		var out, stderr syncBuffer
		code := run(t.Context(), slices.Concat([]string{"connect", "-reconnect"}, flags, []string{url}), stdin, &out, &stderr)
		keep.Close()
		text, again := stderr.String(), "dialing again in"
		if flags != nil {
			text, again = out.String(), `"event":"reconnecting","delay_ms":`
		} else if out.String() != "one\ntwo\nthree\n" {
			t.Errorf("%q", out.String())
		}
		if code != 4 || tries() != 6 || strings.Count(text, again) != 5 || strings.Count(text, "404") == 0 {
			t.Errorf("%v: %d after %d tries: %s", flags, code, tries(), text)
		}
	}
}

func TestConnectDialsAgainOnlyWithReconnect(t *testing.T) {
	url, tries := startFailingServer(t, func(conn *websock.Conn) { conn.Abort(nil) })
	if got := command(t.Context(), "", "connect", url); got.code != 5 || tries() != 1 {
		t.Errorf("%d tries, %+v", tries(), got)
	}
}

func TestConnectCountsMessagesOfAllConnections(t *testing.T) {
	once := func(conn *websock.Conn) { conn.SendText([]byte("x")); conn.Abort(nil) }
	url, tries := startFailingServer(t, once, once, once)
	got := command(t.Context(), "", "connect", "-reconnect", "-count", "3", url)
	if got.code != 0 || got.out != "x\nx\nx\n" || tries() != 3 {
		t.Errorf("%d tries, %+v", tries(), got)
	}
}

func TestLinesOfAPipeWaitForTheNextConnection(t *testing.T) {
	stdin, typing := io.Pipe()
	next := make(chan struct{})
	url, _ := startFailingServer(t,
		func(conn *websock.Conn) { conn.RecvMessage(nil); conn.Abort(nil); close(next) },
		func(conn *websock.Conn) {
			echoChanged(conn, func(op websock.Opcode, _ []byte) websock.Opcode { return op })
		})
	var out, stderr syncBuffer
	go func() {
		defer typing.Close()
		io.WriteString(typing, "lost\n")
		<-next
		n := 0 // lines that were sent before the loss was noticed may be lost, and no others
		for ; n < 100 || out.String() == ""; n++ {
			fmt.Fprintln(typing, n)
		}
		waitUntil(t, "the last line is echoed", func() bool { return strings.HasSuffix(out.String(), fmt.Sprintln(n-1)) })
	}()
	code := run(t.Context(), []string{"connect", "-reconnect", "-wait", "0s", url}, stdin, &out, &stderr)
	lines := strings.Fields(out.String())
	if code != 0 || len(lines) == 0 || lines[0] == "lost" {
		t.Fatalf("%d %q %s", code, lines, stderr.String())
	}
	first, _ := strconv.Atoi(lines[0])
	for i := range lines {
		if want := fmt.Sprint(first + i); lines[i] != want {
			t.Fatalf("%s, want %s, in %q", lines[i], want, lines)
		}
	}
}

func TestInterruptWhileConnectWaitsToDialAgain(t *testing.T) {
	url, _ := startFailingServer(t, func(conn *websock.Conn) { conn.CloseWith(websock.CloseTryAgainLater, "") }) // for half a minute at least
	stdin, keep := io.Pipe()
	defer keep.Close()
	var out, stderr syncBuffer
	if code := run(interruptedAfter(t, 500*time.Millisecond), []string{"connect", "-reconnect", url}, stdin, &out, &stderr); code != 130 {
		t.Errorf("%d %s", code, stderr.String())
	}
}

func TestWrongConnectFlags(t *testing.T) {
	for _, flags := range [][]string{
		{"-count", "-1"}, {"-ping", "-1s"}, {"-ping", "1us"}, {"-ping", "x"}, {"-wait", "-1s"}, {"-timeout", "0s"},
		{"-close", "99"}, {"-close", "1005,x"}, {"-close", "1006"}, {"-close", "70000"}, {"-close", ""}, {"-close", "x"}, {"-close", "1000," + long126},
		{"-one", "-commands"}, {"-json", "-hex"}, {"-json", "-pretty"}, {"-commands=perhaps"},
	} {
		if got := command(t.Context(), "", slices.Concat([]string{"connect"}, flags, []string{unusedURL})...); got.code != 2 {
			t.Errorf("%q: %+v", flags, got)
		}
	}
}
