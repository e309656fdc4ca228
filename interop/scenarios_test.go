package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A measured is what `websock fanout -json` prints of a scenario.
type measured struct {
	Connections int              `json:"connections"`
	Awaited     int64            `json:"awaited"`
	Answered    int64            `json:"answered"`
	Received    int64            `json:"received"`
	Due         int64            `json:"due"`
	Unsent      int64            `json:"unsent"`
	Counted     map[string]int64 `json:"counted"`
	Errors      map[string]int64 `json:"errors"`
	ErrorsTotal int64            `json:"errors_total"`
	Latency     percentiles      `json:"latency_us"`
	ClosedLoop  percentiles      `json:"closed_loop_us"`
	OneWay      *percentiles     `json:"one_way_us"`
}

// percentiles are in microseconds.
type percentiles struct{ Min, P50, P90, P99, Max int64 }

// play runs one of the scenarios that come with the program against a server.
func play(t *testing.T, scenario, url string, flags ...string) (m measured, code int) {
	t.Helper()
	return playFile(t, filepath.Join("..", "cmd", "websock", "scenarios", scenario), url, flags...)
}

// playFile runs a scenario against a server, and returns the exit code, too.
func playFile(t *testing.T, file, url string, flags ...string) (m measured, code int) {
	t.Helper()
	cmd := exec.Command(program, append([]string{"fanout", "-json", "-quiet", "-timeout", "1m", "-scenario", file, "-url", url}, flags...)...)
	cmd.Stderr = os.Stderr
	output, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(output, &m); err != nil {
		t.Fatalf("exit code %d, %v in %s", code, err, output)
	}
	t.Logf("exit code %d: %+v", code, m)
	return m, code
}

func TestAScenarioReceivesWhatNpmWSPushes(t *testing.T) {
	t.Parallel()
	needNode(t)
	url := process(t, func(port string) *exec.Cmd { return exec.Command("node", "servers/push.js", port) })
	const connections = 20
	m, code := play(t, "feed.yaml", url, "-n", fmt.Sprint(connections), "-duration", "3s")
	if code != 0 || m.ErrorsTotal != 0 || m.Awaited != connections || m.Answered != connections {
		t.Errorf("%+v", m)
	}
	if ticks := m.Counted["ticks"]; ticks < connections || m.Received != ticks+m.Answered {
		t.Errorf("%d ticks", ticks)
	}
	if m.OneWay == nil || m.OneWay.P50 > 10e6 || m.OneWay.Max == 0 {
		t.Errorf("%+v", m.OneWay)
	}
}

func TestAScenarioLogsInAndIsAnsweredByIDInAnyOrder(t *testing.T) {
	t.Parallel()
	needPython(t)
	url := process(t, func(port string) *exec.Cmd { return exec.Command(python, "servers/requests.py", port) })
	m, code := play(t, "requests.yaml", url, "-n", "10", "-duration", "2s")
	if code != 0 || m.ErrorsTotal != 0 || m.Awaited != m.Answered || m.Answered < 10+10 || m.Due < 10 {
		t.Errorf("%+v", m)
	}
	// Some take 40 ms. If answers were taken in order, each would have to wait for the one before.
	if m.Latency.Min > 40_000 || m.Latency.Max < 40_000 {
		t.Errorf("%+v", m.Latency)
	}
	anonymous := filepath.Join(t.TempDir(), "anonymous.yaml")
	if err := os.WriteFile(anonymous, []byte(`open: [{send: '{"op":"login","id":1}', answer: {json: reply_to, sent: id}}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	if m, code = playFile(t, anonymous, url, "-n", "3", "-duration", "1s"); code != 1 || m.Errors["close code 4401"] != 3 {
		t.Errorf("exit code %d: %+v", code, m)
	}
}

func TestAScenarioSubscribesAtMosquitto(t *testing.T) {
	t.Parallel()
	url, _ := startMosquitto(t)
	m, code := play(t, "mqtt.yaml", url, "-n", "5", "-duration", "4s")
	if code != 0 || m.ErrorsTotal != 0 || m.Awaited != m.Answered || m.Answered < 5*2+5 {
		t.Errorf("%+v", m)
	}
	// Each message of five connections comes to all five, and each connection gets figures when it subscribes.
	if m.Counted["published by others and me"] < 5*5 || m.Counted["figures of the broker"] < 5*10 || m.OneWay == nil || m.OneWay.P50 > 10e6 {
		t.Errorf("%+v", m)
	}
}

// startMosquitto starts a broker that publishes its figures every second. tcp is the address of its listener
// without WebSocket.
func startMosquitto(t *testing.T) (url, tcp string) {
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/mosquitto")
	}
	if err != nil {
		missing(t, "mosquitto", "run `apt-get install mosquitto`")
	}
	other := freePort(t) // Mosquitto 2.0.11 exits if all its listeners are for WebSocket
	config := filepath.Join(folder(t), "mosquitto.conf")
	url = process(t, func(port string) *exec.Cmd {
		text := fill(`listener {port} 127.0.0.1
protocol websockets
listener {other} 127.0.0.1
allow_anonymous true
persistence false
sys_interval 1
`, "{port}", port, "{other}", other)
		if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return exec.Command(program, "-c", config)
	})
	return url, net.JoinHostPort("127.0.0.1", other)
}

// TestTheScheduleShowsAStallThatTheClosedLoopHides has a server that does nothing for 2 of 5 seconds. In that
// time 40 messages are due on each connection. A client that waits for answers sends one of them.
func TestTheScheduleShowsAStallThatTheClosedLoopHides(t *testing.T) {
	t.Parallel()
	needPython(t)
	url := process(t, func(port string) *exec.Cmd { return exec.Command(python, "servers/stall.py", port) })
	file := filepath.Join(t.TempDir(), "stall.yaml")
	if err := os.WriteFile(file, []byte(`
connections: 5
duration: 5s
messages:
  - send: '{"id":{{.Sequence}}}'
    every: 50ms
    answer: {json: id}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	m, code := playFile(t, file, url)
	if code != 0 || m.ErrorsTotal != 0 || m.Awaited != m.Answered || m.Due < 200 {
		t.Errorf("exit code %d: %+v", code, m)
	}
	if m.Latency.P99 < 1_500_000 {
		t.Errorf("the p99 from when messages were due is %d µs", m.Latency.P99)
	}
	// On a busy machine few messages are in flight alone, and each of the five is more of them.
	if m.ClosedLoop.P90 > 1_000_000 || m.ClosedLoop.Max < 1_500_000 {
		t.Errorf("the closed loop: %+v", m.ClosedLoop)
	}
}
