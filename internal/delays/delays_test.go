package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestDelaysFindAnOrderThatNothingEnsures(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("there are delays on linux/amd64 and linux/arm64 only")
	}
	var out strings.Builder
	failed, err := run(&out, "testdata/order", false, 1, 50, nil)
	if err != nil {
		t.Fatal(err)
	}
	if told := strings.Count(out.String(), "only one step was done"); failed == 0 || failed == 50 || told != failed {
		t.Errorf("%d of 50 seeds failed, %d as they should: %s", failed, told, &out)
	}
}

func TestSourcesOfAnotherReleaseAreRefused(t *testing.T) {
	src := t.TempDir()
	file := filepath.Join(src, edits[0].file)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("package runtime"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := writeOverlay(t.TempDir(), src); err == nil || !strings.Contains(err.Error(), "of this release of Go") {
		t.Error(err)
	}
}

func TestSeeds(t *testing.T) {
	for _, test := range []struct {
		s           string
		first, last int32 // 0: an error
	}{
		{"1-20", 1, 20},
		{"7", 7, 7},
		{"0", 0, 0},
		{"5-4", 0, 0},
		{"-3", 0, 0},
		{"3-", 0, 0},
		{"all", 0, 0},
		{"1-4294967296", 0, 0},
	} {
		first, last, err := parseSeeds(test.s)
		if test.first == 0 {
			if err == nil {
				t.Errorf("%s is taken", test.s)
			}
		} else if err != nil || first != test.first || last != test.last {
			t.Errorf("%s: %d to %d, %v", test.s, first, last, err)
		}
	}
}
