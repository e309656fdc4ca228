package main

import (
	"path/filepath"
	"testing"
)

// BenchmarkProfile runs the program as its users do, clients and servers in this process. With -cpuprofile it
// records default.pgo, which tells the compiler which calls are frequent: make profile does.
func BenchmarkProfile(b *testing.B) {
	cert, key := writeCertificate(b)
	secure := []string{"-tls-cert", cert, "-tls-key", key}
	recording := filepath.Join(b.TempDir(), "recording")
	fanout := func(args ...string) []string { return append([]string{"fanout", "-quiet", "-duration", "4s"}, args...) }
	for _, run := range []struct {
		name          string
		serve, client []string
	}{
		{"echo", nil, fanout("-n", "1000", "-url")},
		{"pipelined", nil, fanout("-n", "64", "-window", "16", "-url")},
		{"a schedule", nil, fanout("-n", "1000", "-msg-rate", "20000", "-url")},
		{"std", []string{"-transport", "std"}, fanout("-n", "1000", "-transport", "std", "-url")},
		{"TLS", secure, fanout("-n", "500", "-ca", cert, "-url")},
		{"HTTP2", secure, fanout("-n", "1000", "-ca", cert, "-h2", "-url")},
		{"compressed text", []string{"-compress"}, fanout("-n", "1000", "-size", "1024", "-compress", "-text", "-url")},
		{"pushed", []string{"-push", "5ms"}, fanout("-n", "1000", "-mode", "receive", "-url")},
		{"recorded", []string{"-push", "20us"}, []string{"connect", "-record", recording, "-count", "50000"}},
	} {
		b.Run(run.name, func(b *testing.B) {
			url, _ := startServer(b, run.serve...)
			runProfiled(b, append(run.client, url)...)
		})
	}
	b.Run("10,000 connections", func(b *testing.B) { // has a server of its own: the limit of open files is one for each
		runProfiled(b, fanout("-n", "10000")...)
	})
}

func runProfiled(b *testing.B, args ...string) {
	if r := command(b.Context(), "", args...); r.code != 0 {
		b.Errorf("exit code %d: %s", r.code, r.err)
	}
}
