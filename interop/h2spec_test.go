package interop

import (
	"encoding/xml"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// inapplicable are the cases of h2spec, which tests RFC 7540, that a server of RFC 9113 need not pass.
var inapplicable = map[string]string{
	"http2/4.2: Sends a large size HEADERS frame that exceeds the SETTINGS_MAX_FRAME_SIZE": "it sends 20,000 bytes, and we take frames of 64 KiB",
	"http2/5.3.1: Sends HEADERS frame that depend on itself":                               "RFC 9113 section 5.3.2 deprecates these priorities, which we ignore",
	"http2/5.3.1: Sends PRIORITY frame that depend on itself":                              "RFC 9113 section 5.3.2 deprecates these priorities, which we ignore",
}

// inapplicableCleartext are more, for HTTP/2 without TLS.
var inapplicableCleartext = map[string]string{
	"http2/3.5: Sends invalid connection preface": "net/http resets the connection, which h2spec doesn't take for its end",
}

// h2specReport is what h2spec writes in the format of JUnit.
type h2specReport struct {
	Suites []struct {
		Cases []struct {
			Section string  `xml:"package,attr"`
			Title   string  `xml:"classname,attr"`
			Failure *string `xml:"failure"`
			Error   *string `xml:"error"`
			Skipped *string `xml:"skipped"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

func TestH2spec(t *testing.T) {
	program := goTool(t, "h2spec")
	for name, secure := range map[string]bool{"TLS": true, "h2c": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits for timeouts
			dir := folder(t)
			_, port, err := net.SplitHostPort(serveHTTP2(t, newCertificate(t, dir), secure, http.HandlerFunc(drainAndAnswer)))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, "report.xml")
			exempt := maps.Clone(inapplicable)
			if !secure {
				maps.Copy(exempt, inapplicableCleartext)
			}
			const patience = "10" // seconds for an answer, in place of two; the exempt cases wait for it
			args := []string{"--strict", "--port", port, "--timeout", patience, "--junit-report", file}
			if secure {
				args = append(args, "--tls", "--insecure")
			}
			output, _ := exec.Command(program, args...).CombinedOutput() // fails if a case does
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			checkH2spec(t, text, exempt)
			if t.Failed() {
				t.Logf("%s", output)
			}
		})
	}
}

// checkH2spec checks that exactly the cases of exempt have failed.
func checkH2spec(t *testing.T, text []byte, exempt map[string]string) {
	var report h2specReport
	if err := xml.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	passed := 0
	for _, suite := range report.Suites {
		for _, c := range suite.Cases {
			name := c.Section + ": " + c.Title
			_, known := exempt[name]
			failed := c.Failure != nil || c.Error != nil || c.Skipped != nil
			switch {
			case !failed:
				passed++
			case !known:
				t.Errorf("failed: %s", name)
			}
			if known && !failed {
				t.Errorf("passed, so it needs no exemption: %s", name)
			}
		}
	}
	if passed < 140 {
		t.Errorf("only %d cases have passed", passed)
	}
}

// drainAndAnswer reads a request to its end, and answers.
func drainAndAnswer(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err == nil {
		io.WriteString(w, "hello")
	}
}
