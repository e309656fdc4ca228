package main

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

func TestReportPageIsSelfContained(t *testing.T) {
	url, _ := startServer(t)
	file := filepath.Join(t.TempDir(), "out.html")
	got := command(t.Context(), "", "fanout", "-url", url, "-n", "5", "-duration", "300ms", "-report", file)
	if got.code != 0 {
		t.Fatalf("%+v", got)
	}
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	if strings.Contains(text, "<script") || strings.Contains(text, "<link") || strings.Contains(text, "<img") {
		t.Error("it loads something")
	}
	for _, want := range []string{
		"Latency over time", "Percentiles of latency", "Messages a second", "Connections by state", "time since the first dial",
		"messages received", url, "websock fanout -url " + url + " -n 5", runtime.Version(),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestReportPageThatCannotBeCreated(t *testing.T) {
	url, _ := startServer(t)
	got := command(t.Context(), "", "fanout", "-url", url, "-n", "1", "-duration", "10ms", "-report", filepath.Join(t.TempDir(), "no", "such"))
	if got.code != 1 || !strings.Contains(got.err, "no such") {
		t.Errorf("%+v", got)
	}
}

func TestReportPageIsCreatedBeforeDialing(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	defer server.Close()
	page := filepath.Join(t.TempDir(), "no", "such")
	got := command(t.Context(), "", "fanout", "-url", "ws"+strings.TrimPrefix(server.URL, "http"), "-n", "2", "-report", page)
	if got.code != 1 || got.out != "" || requests.Load() > 0 || !strings.Contains(got.err, page) {
		t.Errorf("%+v, %d requests", got, requests.Load())
	}
}

func TestJSONReportHasTheFirstErrorOfEachKind(t *testing.T) {
	r, got := runFanout(t, "-n", "2", "-url", unusedURL)
	if first := r.FirstErrors["dial refused"]; got.code != 1 || !strings.Contains(first, "127.0.0.1:1") {
		t.Errorf("%+v", got)
	}
}

func TestTableHasTheFirstErrorOfEachKind(t *testing.T) {
	got := command(t.Context(), "", "fanout", "-n", "2", "-url", unusedURL)
	if got.code != 1 || !strings.Contains(got.out, "dial refused") || !strings.Contains(got.out, "2, first: websock: handshake with 127.0.0.1:") {
		t.Errorf("%+v", got)
	}
}
