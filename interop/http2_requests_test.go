package interop

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

// Ordinary requests on the connections that WebSockets share.
func TestClientsOfOrdinaryRequests(t *testing.T) {
	c := newCertificate(t, folder(t))
	secure := "https://" + serveHTTP2(t, c, true, http.HandlerFunc(drainAndAnswer)) + "/"
	cleartext := "http://" + serveHTTP2(t, c, false, http.HandlerFunc(drainAndAnswer)) + "/"
	big := write(t, folder(t), "big", strings.Repeat("0123456789abcdef", 1<<16), 0o644)
	for _, r := range []struct {
		program, pkg string
		args         []string
		want         string // in the output
	}{
		{"curl", "curl", []string{"-sS", "--http2", "--cacert", c.files["cert"], "-w", " over %{http_version}", secure}, "hello over 2"},
		{"curl", "curl", []string{"-sS", "--http2-prior-knowledge", "--data-binary", "@" + big, "-w", " over %{http_version}", cleartext}, "hello over 2"},
		{"nghttp", "nghttp2-client", []string{"--no-verify-peer", "--data=" + big, "--multiply=3", secure}, "hellohellohello"},
		{"nghttp", "nghttp2-client", []string{"--trailer=checksum: 1", "--data=" + big, cleartext}, "hello"},
		{"h2load", "nghttp2-client", []string{"-n2000", "-c4", "-m50", secure}, "2000 succeeded, 0 failed, 0 errored"},
		{"h2load", "nghttp2-client", []string{"-n200", "-c2", "-m20", "-d", big, cleartext}, "200 succeeded, 0 failed, 0 errored"},
	} {
		cmd := exec.Command(debian(t, r.program, r.pkg), r.args...)
		if output, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(output), r.want) {
			t.Errorf("%v: %v, %.2000s", cmd.Args, err, output)
		}
	}
}
