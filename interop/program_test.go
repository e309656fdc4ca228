package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

var program string

func TestMain(m *testing.M) {
	if os.Getenv(netHTTPAddress) != "" {
		fmt.Fprintln(os.Stderr, serveNetHTTP())
		os.Exit(1)
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "websock")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "websock")
	build := exec.Command("go", "build", "-o", program, "./cmd/websock")
	build.Dir = ".."
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		panic(err)
	}
	return m.Run()
}

// result is what `websock fanout -json` prints.
type result struct {
	Connections       int            `json:"connections"`
	Sent              int            `json:"sent"`
	Received          int            `json:"received"`
	MessagesPerSecond float64        `json:"messages_per_second"`
	ErrorsTotal       int            `json:"errors_total"`
	Errors            map[string]int `json:"errors"`
}

func TestFanout(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer, url string) {
		n := 50
		args := []string{"fanout", "-json", "-quiet", "-timeout", "1m", "-duration", "1s", "-size", "128", "-text"}
		if p.subprotocol != "" {
			args = append(args, "-subprotocol", p.subprotocol)
		}
		if p.queries == nil {
			args = append(args, "-url", url)
		}
		for _, q := range p.queries {
			args = append(args, "-url", url+q)
			n = len(p.queries)
		}
		for _, window := range []int{1, 8} {
			cmd := exec.Command(program, append(args, "-n", strconv.Itoa(n), "-window", strconv.Itoa(window))...)
			cmd.Stderr = os.Stderr
			output, err := cmd.Output()
			if err != nil {
				t.Fatalf("window %d: %v\n%s", window, err, output)
			}
			var r result
			if err := json.Unmarshal(output, &r); err != nil {
				t.Fatalf("%v in %s", err, output)
			}
			if r.Connections != n || r.Sent == 0 || r.Sent != r.Received || r.ErrorsTotal != 0 {
				t.Errorf("window %d: %+v", window, r)
			}
			t.Logf("window %d: %d connections, %d messages, %.0f a second", window, r.Connections, r.Received, r.MessagesPerSecond)
		}
	})
}
