//go:build linux

package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const memoryFigures = `date: 2026-11-23
machine: a machine
BenchmarkReceive/size=125/by=bound-view-2 1000 30 ns/op 4000 MB/s 0 allocs/op
BenchmarkReceive/size=125/by=websock-handler-2 1000 50 ns/op 2000 MB/s 0 allocs/op
BenchmarkReceive/size=125/by=gws-2 1000 210 ns/op 500 MB/s 1 allocs/op
BenchmarkReceive/size=125/by=bound-view-2 1000 32 ns/op 4000 MB/s 0 allocs/op
BenchmarkReceive/size=125/by=websock-handler-2 1000 48 ns/op 2000 MB/s 0 allocs/op
BenchmarkReceive/size=125/by=gws-2 1000 200 ns/op 500 MB/s 1 allocs/op
BenchmarkReceive/size=125/by=bound-view-2 1000 31 ns/op 4000 MB/s 0 allocs/op
BenchmarkReceive/size=125/by=websock-handler-2 1000 90 ns/op 2000 MB/s 0 allocs/op
BenchmarkReceive/size=125/by=gws-2 1000 900 ns/op 500 MB/s 1 allocs/op
BenchmarkReceiveText/size=125/by=websock-handler-2 1000 60 ns/op
BenchmarkReceiveText/size=125/by=gobwas-2 1000 20 ns/op
BenchmarkReceiveText/size=125/by=gws-2 1000 70 ns/op
BenchmarkCompressedReply/takeover=true/size=1024/by=websock-handler-2 1000 900 ns/op
`

const loopbackFigures = `date: 2026-11-24
machine: another machine
BenchmarkLoopback/echo/ws/conns=1000/by=raw/lang=Go 1 8 µs-cpu/msg 0 allocs/msg
BenchmarkLoopback/echo/ws/conns=1000/by=websock-epoll/lang=Go 1 10 µs-cpu/msg 0 allocs/msg
BenchmarkLoopback/echo/ws/conns=1000/by=beast/lang=C++ 1 9 µs-cpu/msg
--- FAIL: BenchmarkLoopback/echo/ws/conns=1000/by=ws/lang=JavaScript: exit status 1: no module ws
`

const http2Figures = `date: 2026-11-24
machine: another machine
BenchmarkLoopback/echo/wss/conns=1000/shared=10/by=websock-epoll/lang=Go 1 3 µs-cpu/msg
BenchmarkLoopback/echo/wss/conns=1000/shared=10/by=websock-epoll-h2/lang=Go 1 4 µs-cpu/msg
BenchmarkLoopback/echo/wss/conns=1000/shared=10/by=xnet-h2/lang=Go 1 12 µs-cpu/msg
`

// published returns the directory of the document that run writes from these figures, without measuring.
func published(t *testing.T, figures map[string]string) (dir string) {
	raw := t.TempDir()
	for name, text := range figures {
		if err := os.WriteFile(filepath.Join(raw, name+".txt"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dir = t.TempDir()
	if err := run([]string{"-only", "charts", "-raw", raw, "-o", filepath.Join(dir, "RESULTS.md")}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func contents(t *testing.T, path ...string) string {
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheDocumentHasTheFiguresOfAllParts(t *testing.T) {
	document := contents(t, published(t, map[string]string{"memory": memoryFigures, "loopback": loopbackFigures, "http2": http2Figures}), "RESULTS.md")
	for _, want := range []string{
		"| bytes | 125 |", "| bound-view | 31.0 / 1.00 |",
		"| **websock-handler** | 50.0 / 1.67 |",             // medians of the rounds, and of their ratios
		"| gws | 210 / 7.00, 1 allocs |",                    // 6.25, 7 and 29
		"| bytes | 1024, takeover |",                        // by which it is compressed
		"|  | language | µs-cpu/msg | / raw | allocs/msg |", // of a case
		"| beast | C++ | 9.00 | 1.12 | – |",                 // doesn't say how much it allocates
		"ws failed: exit status 1: no module ws",            // below the table
		"Measured on 2026-11-24: another machine.",          // of the part
		"Measured on 2026-11-23: a machine.",                // of the other part
	} {
		if !strings.Contains(document, want) {
			t.Errorf("the document lacks %q", want)
		}
	}
	if strings.Contains(document, "## Servers") {
		t.Error("the document has a part that wasn't measured")
	}
}

func TestTheSummaryHasTheFirstOfBothSides(t *testing.T) {
	document := contents(t, published(t, map[string]string{"memory": memoryFigures, "loopback": loopbackFigures, "http2": http2Figures}), "RESULTS.md")
	for _, want := range []string{
		"| echo/ws/conns=1000 | µs-cpu/msg | websock-epoll | 10.0 | beast | C++ | 9.00 | **1.11** | 8.00 |",
		"| Receive of 125 | ns/op | websock-handler | 50.0 | gws | Go | 210 | 0.24 | 31.0 |",
		"| ReceiveText of 125 | ns/op | websock-handler | 60.0 | gws | Go | 70.0 | 0.86 | – |", // gobwas doesn't check the text
		"| CompressedReply of 1024, takeover | ns/op | websock-handler | 900 | – | – | – | – | – |",
		"| echo/wss/conns=1000/shared=10 | µs-cpu/msg | websock-epoll-h2 | 4.00 | xnet-h2 | Go | 12.0 | 0.33 | – |",
	} {
		if !strings.Contains(document, want) {
			t.Errorf("the summary lacks %q", want)
		}
	}
}

func TestChartsAreForLightAndDarkPages(t *testing.T) {
	dir := published(t, map[string]string{"memory": memoryFigures, "loopback": loopbackFigures, "http2": http2Figures})
	for _, test := range []struct{ file, page string }{{"Echo.svg", light.page}, {"Echo-dark.svg", dark.page}} {
		chart := contents(t, dir, "charts", test.file)
		for _, want := range []string{test.page, ">websock-epoll<", ">beast<", ">C++<", ">bound: 8.00<", "less is better"} {
			if !strings.Contains(chart, want) {
				t.Errorf("%s lacks %q", test.file, want)
			}
		}
		if strings.Index(chart, ">beast<") > strings.Index(chart, ">websock-epoll<") {
			t.Errorf("the best isn't the first in %s", test.file)
		}
		checkXML(t, chart)
	}
	http2 := contents(t, dir, "charts", "EchoHTTP2.svg")
	if !strings.Contains(http2, ">without HTTP/2<") || strings.Contains(http2, ">bound: ") {
		t.Errorf("wrong bars or bound: %s", http2)
	}
}

func checkXML(t *testing.T, text string) {
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestPartsAreChosen(t *testing.T) {
	names := func(only string) (names []string) {
		chosen, err := choose(only)
		if err != nil {
			return []string{err.Error()}
		}
		for _, p := range chosen {
			names = append(names, p.name)
		}
		return names
	}
	for only, want := range map[string][]string{
		"":               {"loopback", "http2", "servers", "memory"},
		"memory,servers": {"memory", "servers"},
		"charts":         nil,
		"tables":         {`no part is called "tables"`},
	} {
		if got := names(only); !slices.Equal(got, want) {
			t.Errorf("-only %q chooses %v, want %v", only, got, want)
		}
	}
}

func TestNoFigureIsNoNumber(t *testing.T) {
	for x, want := range map[float64]string{math.NaN(): "–", 0.123: "0.12", 12.34: "12.3", 1234.5: "1234"} {
		if got := digits(x); got != want {
			t.Errorf("digits(%v) is %q, want %q", x, got, want)
		}
	}
}
