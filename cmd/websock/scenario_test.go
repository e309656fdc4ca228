package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// writeScenario writes a scenario, and files that it names, as pairs of name and content. It returns the
// path of the scenario.
func writeScenario(t *testing.T, text string, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	files = append(files, "test.yaml", text)
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "test.yaml")
}

// startRPCServer starts a server that keeps the paths and users of its connections. After a login, it answers
// requests in pairs, the second one first.
func startRPCServer(t *testing.T) (url string, connected func() []string) {
	var mu sync.Mutex
	var all []string
	url = startAcceptingServer(t, func(r *http.Request, conn *websock.Conn) {
		mu.Lock()
		all = append(all, r.URL.RequestURI()+" "+r.Header.Get("Authorization"))
		mu.Unlock()
		held := make(chan []byte, 1)
		for loggedIn := false; ; {
			_, msg, err := conn.RecvMessage(nil)
			if err != nil {
				return
			}
			var request struct {
				Op string
				ID int
			}
			if json.Unmarshal(msg, &request) != nil || !loggedIn && request.Op != "login" {
				conn.CloseWith(4000, "log in first")
				return
			}
			loggedIn = true
			answer := fmt.Appendf(nil, `{"reply":{"to":%d},"t":%d,"type":%q}`, request.ID, time.Now().UnixMilli(), request.Op)
			if request.Op == "login" {
				conn.SendText(answer)
				continue
			}
			select {
			case first := <-held:
				conn.SendText(answer)
				conn.SendText(first)
			default:
				held <- answer
				time.AfterFunc(100*time.Millisecond, func() { // it may be the last one
					select {
					case last := <-held:
						conn.SendText(last)
					default:
					}
				})
			}
		}
	})
	return url, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Sorted(slices.Values(all))
	}
}

func TestAScenarioWithALoginAndAnswersInAnyOrder(t *testing.T) {
	url, connected := startRPCServer(t)
	file := writeScenario(t, `
connections: 4
duration: 1s
data: users.csv
path: /room/{{.Connection}}?a=b
headers: {Authorization: "Bearer {{.Data.token}}", X-Other: x}
open:
  - send: '{"op":"login","id":{{.Sequence}}}'
    answer: {json: reply.to, sent: id}
messages:
  - send: '{"op":"first","id":{{.Sequence}}}'
    every: 10ms
    answer: {json: reply.to, sent: id}
  - send: {template-file: second.json}
    rate: 100
    answer: {json: reply.to, sent: id}
pushed: {json: t, unit: ms}
count: {logins: {json: type, equals: login}}
`, "users.csv", "token\nann\nbob\ncy\n", "second.json", `{"op":"second","id":{{.Sequence}}}`)
	for _, procs := range []string{"1", "2"} {
		before := len(connected())
		r, got := runFanout(t, "-url", url, "-scenario", file, "-procs", procs, "-timeout", "1m")
		if got.code != 0 || r.Connections != 4 || r.Counted["logins"] != 4 || r.Answered != r.Received || r.Awaited != r.Answered {
			t.Errorf("%+v %+v", r, got)
		}
		if r.Answered <= 4 || r.OneWay == nil || r.Lateness == nil || r.ClosedLoop == nil || r.Due < 50 || r.AskedRate != 800 || r.LatencyFrom != "due" {
			t.Errorf("%+v", r)
		}
		want := []string{"/room/0?a=b Bearer ann", "/room/1?a=b Bearer bob", "/room/2?a=b Bearer cy", "/room/3?a=b Bearer ann"}
		if got := connected(); procs == "1" && !slices.Equal(got, want) || procs == "2" && len(got) != before+4 {
			t.Errorf("%q", got)
		}
	}
	if got := slices.Compact(connected()); len(got) != 4 {
		t.Errorf("two processes use the same numbers: %q", got)
	}
	if _, got := runFanout(t, "-url", url, "-scenario", file, "-header", "Authorization: flag", "-n", "1", "-duration", "50ms", "-timeout", "1m"); got.code != 0 {
		t.Errorf("%+v", got)
	}
	if all := connected(); all[1] != "/room/0?a=b Bearer ann" || !slices.Contains(all, "/room/0?a=b flag") {
		t.Errorf("%q", all)
	}
}

func TestAScenarioWithStages(t *testing.T) {
	t.Parallel() // it takes longer than a machine stands still
	// Answers are late, so that connections that are to close have some to wait for.
	url := startScriptedServer(t, func(conn *websock.Conn) {
		for {
			_, msg, err := conn.RecvMessage(nil)
			if err != nil {
				return
			}
			time.AfterFunc(50*time.Millisecond, func() { conn.SendText(msg) })
		}
	})
	file := writeScenario(t, `
stages:
  - {to: 10, for: 1s}
  - {to: 2, for: 200ms}
  - {to: 6, for: 100ms, name: again}
  - {to: 0, for: 200ms}
messages:
  - send: '{{.Sequence}}'
    every: 10ms
    answer: {regex: '(\d+)'}
`)
	for _, test := range []struct {
		flags []string
		most  int
	}{{nil, 10}, {[]string{"-n", "20"}, 20}, {[]string{"-procs", "3"}, 10}, {[]string{"-reconnect"}, 10}} {
		r, got := runFanout(t, append(test.flags, "-url", url, "-scenario", file)...)
		if got.code != 0 || r.ErrorsTotal != 0 || r.Reconnects != 0 || r.Asked != test.most || r.Connections > test.most || r.Connections == 0 {
			t.Errorf("%v: %+v %+v", test.flags, r, got)
		}
		if r.Awaited != r.Answered || r.Answered == 0 || len(r.Stages) != 4 || r.Stages[2].Name != "again" || r.Seconds < 1.4 {
			t.Errorf("%v: %+v", test.flags, r)
		}
	}
	got := command(t.Context(), "", "fanout", "-url", url, "-scenario", file)
	for _, want := range []string{"of 10 at most", "those of " + file, "an answer is", `the same group of /(\d+)/`} {
		if !strings.Contains(got.out, want) {
			t.Errorf("no %q in %s", want, got.out)
		}
	}
	if strings.Contains(got.out, "dial rate") || strings.Contains(got.out, "idle connection") {
		t.Errorf("the rate of dialing is that of the stages: %s", got.out)
	}
}

func TestAScenarioOverHTTP2(t *testing.T) {
	file := writeScenario(t, `
path: /{{.Connection}}
open: [{send: hello, answer: any}]
messages: [{send: '{{.Connection}}-{{.Sequence}}', think: 1ms, answer: {regex: '(.*)'}}]
`)
	for _, flags := range [][]string{{"-h2"}, {"-h2", "-tls"}, {"-tls"}, {"-transport", "std"}, {"-transport", "netpoll"}} {
		r, got := runFanout(t, append(flags, "-scenario", file, "-n", "20", "-duration", "500ms")...)
		if got.code != 0 || r.Awaited != r.Answered || r.Answered <= 20 || r.LatencyFrom != "sent" {
			t.Errorf("%v: %+v %+v", flags, r, got)
		}
	}
}

func TestWhatGoesWrongInAScenario(t *testing.T) {
	echo, _ := startServer(t)
	silent := startScriptedServer(t, func(conn *websock.Conn) {
		for {
			if _, _, err := conn.RecvMessage(nil); err != nil {
				return
			}
		}
	})
	twice := startScriptedServer(t, func(conn *websock.Conn) {
		echoChanged(conn, func(op websock.Opcode, msg []byte) websock.Opcode {
			conn.SendFrame(op, true, msg)
			return op
		})
	})
	closing := startScriptedServer(t, func(conn *websock.Conn) {
		conn.RecvMessage(nil)
		conn.CloseWith(4321, "enough")
	})
	const endsAll, goesOn = "1m", "1s" // the run ends when all connections have ended
	for _, test := range []struct {
		what, url, duration, scenario string
		errors                        map[string]int64 // at least
		counted                       map[string]bool
	}{
		{"a login that is not answered", silent, endsAll, "open: [{send: login, answer: any, timeout: 50ms}]", map[string]int64{"answer timeout": 3}, nil},
		{"an answer that does not come", silent, goesOn, "messages: [{send: '{{.Sequence}}', think: 1s, answer: {regex: '(.*)'}, timeout: 50ms}]", map[string]int64{"answer timeout": 3}, nil},
		{"a message that can't be made", echo, endsAll, "messages: [{send: 'a{{slice \"ab\" .Sequence}}', think: 20ms}]", map[string]int64{"scenario error": 3}, nil},
		{"text that is not UTF-8", echo, endsAll, "messages: [{send: 'a{{slice \"aaé\" .Sequence}}', think: 20ms}]", map[string]int64{"scenario error": 3}, nil},
		{"a message without its ID", echo, endsAll, "messages: [{send: '{{if eq .Sequence 1}}7{{end}}', answer: {regex: '(.)'}}]", map[string]int64{"scenario error": 3}, nil},
		{"a message that is an error", echo, goesOn, "messages: [{send: '{\"error\":1}', think: 1s}]\nerrors: {refused: {json: error}}", map[string]int64{"refused": 3}, nil},
		{"a path that can't be made", echo, goesOn, "path: '/{{slice \"a\" .Connection}}'", map[string]int64{"handshake failed": 1}, nil},
		{"a second answer", twice, goesOn, "messages: [{send: '{{.Sequence}}', think: 20ms, answer: {regex: '(.*)'}}]", nil, map[string]bool{"answers that nothing waited for": true}},
		{"a clock that is ahead", echo, goesOn, "messages: [{send: '{\"t\":9000000000}', think: 20ms, answer: any}]\npushed: {json: t, unit: s}", nil, map[string]bool{"times ahead of this clock": true}},
		{"a close that is expected", closing, endsAll, "open: [{send: hello}]\nclose: {codes: [4321]}", nil, nil},
		{"a close that is not", closing, endsAll, "open: [{send: hello}]", map[string]int64{"close code 4321": 3}, nil},
		{"a close instead of an answer", closing, endsAll, "messages: [{send: hello, answer: any}]\nclose: {codes: [4321]}", map[string]int64{"unanswered at close": 3}, nil},
	} {
		r, got := runFanout(t, "-url", test.url, "-scenario", writeScenario(t, test.scenario), "-n", "3", "-duration", test.duration)
		code := 0
		for kind, n := range test.errors {
			if code = 1; r.Errors[kind] < n {
				t.Errorf("%s: %+v", test.what, r)
			}
		}
		for name := range test.counted {
			if r.Counted[name] == 0 {
				t.Errorf("%s: %+v", test.what, r)
			}
		}
		if got.code != code || len(r.Errors) != len(test.errors) {
			t.Errorf("%s: %+v", test.what, got)
		}
	}
}

func TestAScenarioReconnects(t *testing.T) {
	var accepted atomic.Int32
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	url := startScriptedServer(t, func(conn *websock.Conn) {
		if accepted.Add(1) == 9 { // so six of those before were open, and have ended
			interrupt()
		}
		for range 3 {
			if op, msg, err := conn.RecvMessage(nil); err == nil {
				conn.SendFrame(op, true, msg)
			}
		}
		conn.CloseWith(4321, "enough")
	})
	file := writeScenario(t, "open: [{send: login, answer: any}]\nmessages: [{send: 'm{{.Sequence}}', think: 10ms, answer: {regex: 'm(.*)'}}]\nclose: {codes: [4321]}")
	r, got := runFanoutUntil(t, ctx, "-url", url, "-scenario", file, "-n", "3", "-duration", "1m", "-reconnect")
	if delete(r.Errors, "unanswered at close"); len(r.Errors) != 0 || r.Reconnects < 3 || r.Answered < 12 {
		t.Errorf("%+v %+v", r, got)
	}
}

func TestThresholdsOfAScenario(t *testing.T) {
	file := writeScenario(t, "duration: 50ms\nconnections: 2\nmessages: [{send: a, think: 1ms, answer: any}]\nthresholds: [latency.p99<1us]")
	if r, got := runFanout(t, "-scenario", file); got.code != 7 || len(r.Thresholds) != 1 || r.Thresholds[0].Held {
		t.Errorf("%+v", got)
	}
	if r, got := runFanout(t, "-scenario", file, "-threshold", "latency.p99<1m"); got.code != 0 || len(r.Thresholds) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestFlagsThatDoNotGoWithAScenario(t *testing.T) {
	staged := writeScenario(t, "stages: [{to: 1, for: 1s}]")
	plain := writeScenario(t, "duration: 1s")
	for _, test := range []struct {
		want  string
		flags []string
	}{
		{"-scenario says what is sent: leave -size and -window out", []string{"-scenario", plain, "-window", "2", "-size", "3"}},
		{"the scenario has stages", []string{"-scenario", staged, "-cluster"}},
		{"leave -duration out", []string{"-scenario", staged, "-duration", "1s"}},
		{"none.yaml", []string{"-scenario", "none.yaml"}},
		{`test.yaml:1:1: a scenario has no key "connectons"; it may have: close, connections,`, []string{"-scenario", writeScenario(t, "connectons: 5")}},
		{"test.yaml:1:7: open ", []string{"-scenario", writeScenario(t, "data: none.csv")}},
		{"header Sec-Websocket-Key is set implicitly", []string{"-scenario", writeScenario(t, "headers: {Sec-WebSocket-Key: a}")}},
		{"not a ws:// or wss:// URL", []string{"-scenario", writeScenario(t, "url: ftp://a")}},
		{"-n is at least 1", []string{"-scenario", plain, "-n", "0"}},
	} {
		if got := command(t.Context(), "", append([]string{"fanout"}, test.flags...)...); got.code != 2 || !strings.Contains(got.err, test.want) {
			t.Errorf("%v: %+v, not %s", test.flags, got, test.want)
		}
	}
}

// snippet is a block of YAML in a Markdown file.
var snippet = regexp.MustCompile("(?s)```yaml\n(.*?)```")

func TestScenariosOfTheDocumentationAreRight(t *testing.T) {
	doc, err := os.ReadFile("../../docs/scenarios.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("API_KEY", "secret")
	all := snippet.FindAllSubmatch(doc, -1)
	if len(all) < 5 {
		t.Fatalf("%d scenarios", len(all))
	}
	for _, found := range all {
		file := writeScenario(t, string(found[1]), "users.csv", "user,token\nann,s3cret\n",
			"subscribe.json", "{}", "login.tmpl", "{{.Sequence}}", "connect.bin", "\xff")
		if _, err := readScenarioFile(file); err != nil {
			t.Errorf("%v in\n%s", err, found[1])
		}
	}
	first := writeScenario(t, string(snippet.FindSubmatch(doc)[1]), "users.csv", "user,token\nann,s3cret\n")
	url, _ := startServer(t)
	r, got := runFanout(t, "-url", url, "-scenario", first, "-n", "3", "-duration", "500ms")
	if got.code != 0 || r.Answered <= 3 || r.Awaited != r.Answered {
		t.Errorf("%+v %+v", got, r)
	}
}

func TestScenariosThatComeWithTheProgramAreRight(t *testing.T) {
	files, err := filepath.Glob("scenarios/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		if _, err := readScenarioFile(file); err != nil {
			t.Error(err)
		}
	}
}
