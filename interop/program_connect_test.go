package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// connectEvent is a line that `websock connect -json` prints.
type connectEvent struct {
	Event     string
	Text      string
	Binary    []byte
	RoundTrip int `json:"round_trip_us"`
	Code      int
	Reason    string
	Local     bool
}

func TestConnectWithCommands(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	content := bytes.Repeat([]byte{0, 255, '\n'}, 1000)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	eachPeer(t, func(t *testing.T, p peer, url string) {
		args := []string{"connect", "-json", "-commands", "-count", "2", "-wait", "30s", "-close", "4000,enough"}
		lines := "/ping me\nhello\n/binary " + file + "\n"
		if p.subprotocol != "" {
			args = append(args, "-subprotocol", p.subprotocol)
			url += p.queries[0]
		}
		if p.mirror {
			lines = "/ping me\nhello\n//slash\n"
		}
		cmd := exec.Command(program, append(args, url)...)
		cmd.Stdin, cmd.Stderr = strings.NewReader(lines), os.Stderr
		output, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		var events []string
		for scanner := bufio.NewScanner(bytes.NewReader(output)); scanner.Scan(); {
			var e connectEvent
			if err := json.Unmarshal(scanner.Bytes(), &e); err != nil {
				t.Fatalf("%v in %s", err, scanner.Bytes())
			}
			switch what := e.Event; {
			case what == "pong" && e.RoundTrip <= 0:
				t.Errorf("a round trip of %d µs", e.RoundTrip)
			case what == "closed" && (e.Code != 4000 || e.Reason != "enough" || !e.Local):
				t.Errorf("%+v", e)
			case what == "message" && e.Text == "":
				events = append(events, what+" of the file")
				if !bytes.Equal(e.Binary, content) {
					t.Errorf("%d bytes came back", len(e.Binary))
				}
			default:
				events = append(events, strings.TrimSpace(what+" "+e.Text))
			}
		}
		last := "message of the file"
		if p.mirror {
			last = "message /slash"
		}
		if want := []string{"open", "pong me", "message hello", last, "closed"}; !slices.Equal(events, want) {
			t.Errorf("%q, want %q", events, want)
		}
	})
}
