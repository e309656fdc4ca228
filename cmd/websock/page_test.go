package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestFanoutWritesAPageThatNeedsNothingElse(t *testing.T) {
	url, _ := serving(t)
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
		"Messages received", "messages a second", "seconds since the first dial", "milliseconds from message to echo", "Connections up", "Errors and reconnections, so far", "Echoes by the time they took",
		"messages received", url,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	drawn := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(text, -1)
	if len(drawn) != 4 {
		t.Errorf("%d charts", len(drawn))
	}
	for _, svg := range drawn {
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAPageThatCanNotBeWritten(t *testing.T) {
	url, _ := serving(t)
	got := command(t.Context(), "", "fanout", "-url", url, "-n", "1", "-duration", "10ms", "-report", filepath.Join(t.TempDir(), "no", "such"))
	if got.code != 1 || !strings.Contains(got.err, "no such") {
		t.Errorf("%+v", got)
	}
}

func TestAPageOfNothing(t *testing.T) {
	r := &report{latencies: newLatency(), samples: []reading{{}}}
	if drawn, err := r.charts(); err != nil || len(drawn) != 4 {
		t.Errorf("%d, %v", len(drawn), err)
	}
}
