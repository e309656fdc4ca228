package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/report"
	"github.com/seed004e8d11/websock/internal/loopback"
)

func TestThresholdsDecideTheExitCode(t *testing.T) {
	url, _ := startServer(t)
	for _, test := range []struct {
		flags string
		code  int
		says  []string
	}{
		{"-threshold latency.p99<1m -threshold errors==0", 0, []string{"2 of 2 held", "held, ", "errors==0"}},
		{"-threshold latency.p99<1us -threshold errors==0", 7, []string{"1 of 2 held", "NOT HELD, "}},
		{"-threshold one_way.p99<1m", 7, []string{"NOT HELD, not measured: no message came that says when it was sent"}},
		{"-threshold connections>=100% -procs 2", 0, []string{"1 of 1 held", "100 %"}},
		{"-url " + unusedURL + " -threshold connections>=1 -threshold errors<=2", 0, []string{"dial refused", "2 of 2 held"}}, // errors alone aren't a failure then
		{"-url " + unusedURL + " -threshold errors==0", 7, []string{"0 of 1 held"}},
	} {
		args := append([]string{"fanout", "-quiet", "-url", url, "-n", "4", "-duration", "50ms"}, strings.Fields(test.flags)...)
		got := command(t.Context(), "", args...)
		if got.code != test.code || got.err != "" {
			t.Errorf("%s: %+v", test.flags, got)
		}
		for _, text := range test.says {
			if !strings.Contains(got.out, text) {
				t.Errorf("%s: no %q in %s", test.flags, text, got.out)
			}
		}
	}
}

func TestThresholdsOfASchedule(t *testing.T) {
	got := command(t.Context(), "", strings.Fields("fanout -n 4 -duration 300ms -msg-rate 100 -threshold sent_rate>0% -threshold sent>0%"+
		" -threshold lateness.p50<1m -threshold closed_loop.p50<1m -threshold answered>=100% -threshold message_rate<1e6%")...)
	if got.code != 0 || !strings.Contains(got.out, "6 of 6 held") {
		t.Errorf("%+v", got)
	}
}

func TestThresholdsOfWhatIsPushed(t *testing.T) {
	t.Parallel() // it takes longer than a machine stands still
	push, _ := startServer(t, "-push", "10ms")
	got := command(t.Context(), "", "fanout", "-url", push, "-n", "2", "-duration", "5s", "-mode", "receive", "-threshold", "one_way.p50<1m", "-threshold", "received>0")
	if got.code != 0 || !strings.Contains(got.out, "2 of 2 held") {
		t.Errorf("%+v", got)
	}
}

func TestThresholdOfWhatAScenarioCounts(t *testing.T) {
	url, _ := startServer(t)
	file := writeScenario(t, "messages: [{send: {text: tick}, every: 10ms}]\ncount: {ticks: {regex: tick}, tocks: {regex: tock}}\n")
	args := []string{"fanout", "-url", url, "-n", "2", "-duration", "200ms", "-scenario", file}
	got := command(t.Context(), "", append(args, "-threshold", "counted.ticks>=1", "-threshold", "counted.tocks==0")...)
	if got.code != 0 || !strings.Contains(got.out, "2 of 2 held") {
		t.Errorf("%+v", got)
	}
	got = command(t.Context(), "", append(args, "-threshold", "counted.tacks==0")...)
	if got.code != 2 || !strings.Contains(got.err, `no scenario counts messages as "tacks"`) {
		t.Errorf("%+v", got)
	}
}

func TestThresholdsInJSON(t *testing.T) {
	r, got := runFanout(t, "-n", "2", "-duration", "50ms", "-threshold", "latency.p50 >= 1us", "-threshold", "one_way.max<1s")
	if got.code != 7 || r.Held == nil || *r.Held || len(r.Thresholds) != 2 {
		t.Fatalf("%+v", got)
	}
	first, second := r.Thresholds[0], r.Thresholds[1]
	if !first.Held || first.Threshold != "latency.p50>=1us" || first.Unit != "us" || *first.Value != float64(r.Latency.P50) {
		t.Errorf("%+v", first)
	}
	if want := "websock: threshold one_way.max<1s not held: not measured: no message came"; !strings.Contains(got.err, want) || strings.Contains(got.err, "latency.p50>=") {
		t.Errorf("no %q, or more, in %s", want, got.err)
	}
	if second.Held || second.Value != nil || second.Reason == "" {
		t.Errorf("%+v", second)
	}
	if r, _ := runFanout(t, "-n", "2", "-duration", "50ms"); r.Held != nil || r.Thresholds != nil || r.SchemaVersion != 1 {
		t.Errorf("without: %+v", r)
	}
}

func TestSeriesHasWhatTheResultHas(t *testing.T) {
	url, _ := startServer(t)
	for _, procs := range []string{"1", "2"} {
		file := filepath.Join(t.TempDir(), "run.csv")
		r, got := runFanout(t, "-url", url, "-n", "4", "-procs", procs, "-duration", "350ms", "-series", file, "-series-interval", "100ms")
		text, err := os.ReadFile(file)
		if err != nil || got.code != 0 || got.err != "" {
			t.Fatalf("%+v, %v", got, err)
		}
		rows, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
		if err != nil || len(rows) < 2 { // the columns, and the last row: a busy machine may skip all others
			t.Fatalf("%v: %s", err, text)
		}
		last := map[string]string{}
		for i, name := range rows[0] {
			last[name] = rows[len(rows)-1][i]
		}
		var want struct{ Sent, Received json.Number }
		if err := json.Unmarshal([]byte(got.out), &want); err != nil || last["sent"] != want.Sent.String() || last["received"] != want.Received.String() || r.Sent == 0 {
			t.Errorf("-procs %s: %v, %v", procs, last, got.out)
		}
	}
}

func TestSeriesOnStandardOutputHasTheTableOnStandardError(t *testing.T) {
	got := command(t.Context(), "", "fanout", "-n", "2", "-duration", "250ms", "-series", "-", "-series-interval", "100ms")
	if got.code != 0 || !strings.Contains(got.err, "messages received") {
		t.Errorf("%+v", got)
	}
	rows := 0
	for line := range strings.Lines(got.out) {
		var row struct{ Up *int64 }
		if err := json.Unmarshal([]byte(line), &row); err != nil || row.Up == nil {
			t.Errorf("%v: %s", err, line)
		}
		rows++
	}
	if rows < 1 { // a busy machine may skip all but the last one
		t.Errorf("%d rows", rows)
	}
}

func TestSeriesThatCannotBeWrittenDoesNotStopTheRun(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /dev/full")
	}
	r, got := runFanout(t, "-n", "2", "-duration", "250ms", "-series", "/dev/full", "-series-interval", "100ms")
	if got.code != 1 || r.Connections != 2 || r.Sent < 2 || r.Sent != r.Received || r.Seconds < 0.25 || !strings.Contains(got.err, "-series: write /dev/full: no space left") {
		t.Errorf("%+v", got)
	}
}

func TestSeriesWhosePipeIsClosedDoesNotStopTheRun(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it has no such pipes")
	}
	closed := make(chan struct{})
	url := startAcceptingServer(t, func(_ *http.Request, conn *websock.Conn) {
		<-closed // so that rows follow
		echoChanged(conn, func(op websock.Opcode, _ []byte) websock.Opcode { return op })
	})
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr syncBuffer
	cmd := exec.Command(program, "fanout", "-url", url, "-n", "2", "-duration", "500ms", "-timeout", "1m", "-series", "-", "-series-interval", "100ms")
	cmd.Stdout, cmd.Stderr = writer, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	if _, err := bufio.NewReader(reader).ReadString('\n'); err != nil {
		t.Error(err)
	}
	reader.Close()
	close(closed)
	cmd.Wait()
	if text := stderr.String(); cmd.ProcessState.ExitCode() != 1 || !strings.Contains(text, "messages received") || !strings.Contains(text, "broken pipe") {
		t.Errorf("%v: %s", cmd.ProcessState, text)
	}
}

func TestMetricsAreServedWhileItRuns(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var out syncBuffer
	stderr, printed := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, strings.Fields("fanout -n 3 -duration 1m -prom "+net.JoinHostPort(loopback.Host(), "0")), strings.NewReader(""), &out, printed)
		printed.Close()
	}()
	line, err := bufio.NewReader(stderr).ReadString('\n')
	url := regexp.MustCompile("http://[^ ]*/metrics").FindString(line)
	if err != nil || url == "" {
		t.Fatalf("%q, %v", line, err)
	}
	go io.Copy(io.Discard, stderr)
	defer http.DefaultClient.CloseIdleConnections()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		response, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if slices.Contains(strings.Split(string(text), "\n"), `websock_load_connections{state="up"} 3`) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%s", text)
		}
	}
	interrupt()
	if got := <-code; got != 130 || !strings.Contains(out.String(), "3 of 3") {
		t.Errorf("exit code %d: %s", got, out.String())
	}
	if response, err := http.Get(url); err == nil {
		response.Body.Close()
		t.Error("it still listens")
	}
}

func TestAnAddressInUseForMetricsIsFoundBeforeDialing(t *testing.T) {
	used, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	url, _ := startServer(t)
	file := filepath.Join(t.TempDir(), "rows")
	got := command(t.Context(), "", "fanout", "-url", url, "-n", "2", "-prom", used.Addr().String(), "-series", file)
	if got.code != 1 || got.out != "" || !strings.Contains(got.err, used.Addr().String()) {
		t.Errorf("%+v", got)
	}
}

// summarySchema compiles the schema of the result.
var summarySchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	return jsonschema.NewCompiler().Compile("../../docs/summary.schema.json")
})

// decodeReport decodes the JSON result of a run, and checks that it is as the schema says.
func decodeReport(t *testing.T, text string) (r report.Report) {
	t.Helper()
	schema, err := summarySchema()
	if err != nil {
		t.Fatal(err)
	}
	instance, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if err := schema.Validate(instance); err != nil {
		t.Errorf("%v: %s", err, text)
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return r
}

func TestJSONIsAsTheSchemaSaysInEveryMode(t *testing.T) {
	for _, flags := range []string{
		"",
		"-procs 2 -window 16",
		"-h2 -streams 2",
		"-threshold latency.p99<1us -threshold one_way.p99<1s -threshold errors<1%",
		"-url " + unusedURL,
		"-source 127.0.0.1",
		"-msg-rate 200",
		"-mode receive",
		"-mode send -msg-rate 200",
		"-window 0",
	} {
		runFanout(t, append([]string{"-n", "4", "-duration", "50ms"}, strings.Fields(flags)...)...)
	}
}
