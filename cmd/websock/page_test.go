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
	"time"
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
		"Messages received a second", "Connections up", "Errors and reconnections, so far", "Echoes by the time they took",
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

func TestReadingsAreThinned(t *testing.T) {
	var readings []reading
	for i := range 1001 {
		readings = append(readings, reading{time.Duration(i), standing{Received: int64(i)}})
	}
	for _, n := range []int{1, 7, 300, 1000, 1001, 5000} {
		thin := thinned(readings, n)
		if want := min(n, len(readings)); len(thin) != want || thin[len(thin)-1] != readings[1000] {
			t.Errorf("%d of %d", len(thin), n)
		}
		for i := 1; i < len(thin); i++ {
			if thin[i].at <= thin[i-1].at {
				t.Fatalf("thinned to %d, reading %d is out of order", n, i)
			}
		}
	}
	rates := messageRates([]reading{{}, {time.Second, standing{Received: 10}}, {3 * time.Second, standing{Received: 20}}})
	if rates[0] != 0 || rates[1] != 10 || rates[2] != 5 {
		t.Errorf("%v", rates)
	}
}

func TestRoundNumbers(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		0: time.Microsecond, 1: time.Microsecond, time.Microsecond: time.Microsecond,
		3 * time.Microsecond: 5 * time.Microsecond, 11 * time.Millisecond: 20 * time.Millisecond,
		time.Minute: 100 * time.Second,
	} {
		if got := roundNumber(d); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
}
