package report

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
	"github.com/seed004e8d11/websock/cmd/websock/internal/threshold"
)

// written returns the page of a report, and its elements. It fails the test if the page is not well-formed.
func written(t *testing.T, r *Report) (page string, elements []xml.StartElement) {
	t.Helper()
	var b strings.Builder
	if err := r.WritePage(&b); err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(b.String())); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return b.String(), elements
		} else if err != nil {
			t.Fatal("not well-formed: ", err)
		}
		if e, ok := token.(xml.StartElement); ok {
			elements = append(elements, e.Copy())
		}
	}
}

// loads returns the elements of a page that load or run something.
func loads(page string, elements []xml.StartElement) (found []string) {
	for _, e := range elements {
		if slices.Contains([]string{"script", "link", "img", "iframe", "object", "embed", "use", "image", "a", "base", "form"}, e.Name.Local) {
			found = append(found, e.Name.Local)
		}
		for _, a := range e.Attr {
			if name := a.Name.Local; strings.HasPrefix(name, "on") || name == "src" || name == "href" || name == "style" && strings.Contains(a.Value, "(") {
				found = append(found, name)
			}
		}
	}
	if style, _, _ := strings.Cut(page, "</style>"); strings.Contains(style, "url(") || strings.Contains(style, "@import") {
		found = append(found, "style")
	}
	return found
}

func TestPageOfAnyRunIsWellFormedSmallAndLoadsNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	short, long := measure.NewResult(), measure.NewResult()
	short.Latencies.Record(time.Millisecond)
	var hours []measure.Sample
	for i := range 8192 {
		for range 5 {
			d := time.Duration(random.ExpFloat64() * float64(10*time.Millisecond))
			long.Latencies.Record(d)
			long.OneWay.Record(d / 2)
			long.Lateness.Record(d / 100)
		}
		s := measure.Snapshot{Up: random.Int64N(1000), Received: int64(5 * i), Errors: int64(i), ErrorsByKind: map[string]int64{}}
		for kind := range 20 {
			s.ErrorsByKind[fmt.Sprint("kind ", kind)] = int64(i / 20)
		}
		s.Latency, s.OneWay, s.Lateness = long.Latencies.Buckets(), long.OneWay.Buckets(), long.Lateness.Buckets()
		hours = append(hours, measure.Sample{At: time.Duration(i) * 4400 * time.Millisecond, Snapshot: s})
	}
	for _, test := range []struct {
		name    string
		report  *Report
		samples []measure.Sample
	}{
		{"nothing", &Report{result: measure.NewResult()}, nil},
		{"one sample", &Report{result: measure.NewResult()}, []measure.Sample{{}}},
		{"a cluster", &Report{Cluster: &Cluster{}, result: measure.NewResult()}, []measure.Sample{{}}},
		{"50 ms", &Report{result: short}, []measure.Sample{{}, {At: 50 * time.Millisecond, Snapshot: measure.Snapshot{Up: 1, Received: 1, Latency: short.Latencies.Buckets()}}}},
		{"10 hours", &Report{result: long, HTTP2: &HTTP2{}, Cluster: &Cluster{Status: twoMembers}}, hours},
		{"a stall", stalledRun(), stalledRun().samples},
	} {
		test.report.samples = test.samples
		page, elements := written(t, test.report)
		if len(page) > 1_000_000 {
			t.Errorf("%s: %d bytes", test.name, len(page))
		}
		if found := loads(page, elements); found != nil {
			t.Errorf("%s: %q", test.name, found)
		}
	}
}

func TestPageHidesSecrets(t *testing.T) {
	r := stalledRun()
	r.FirstErrors = map[string]string{"dial timeout": "GET wss://user:secret@example.com/?key=secret: timeout"}
	r.URLs = append(r.URLs, `ws://a.example/?key=open's"secret<secret> secret`)
	page, _ := written(t, r)
	if i := strings.Index(page, "secret"); i >= 0 {
		t.Error(page[max(i-100, 0):min(i+100, len(page))])
	}
	for _, want := range []string{"wss://…@example.com/feed?token=…", "Authorization: …", "-threshold &#39;latency.p99&lt;200ms&#39;", "v1.2.3", "2026-01-02 03:04:05 UTC"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
}

func TestPageEscapesWhatServersSay(t *testing.T) {
	const hostile = "</title></style></svg><script src=\"http://evil.example\"></script><img onerror='x' src=\"x\">"
	const controls = hostile + "\x1b[2J\x00"
	r := stalledRun()
	last := &r.samples[len(r.samples)-1].Snapshot
	last.ErrorsByKind, last.Errors, last.Phase = map[string]int64{hostile: 1}, 1, hostile
	r.Errors, r.FirstErrors = map[string]int64{hostile: 1}, map[string]string{hostile: controls}
	r.URLs, r.Server, r.Transport = []string{controls}, controls, hostile
	r.Environment.Args, r.Environment.Version = []string{controls}, hostile
	page, elements := written(t, r)
	if found := loads(page, elements); found != nil {
		t.Errorf("%q", found)
	}
	if !strings.Contains(page, "&lt;script src=") {
		t.Error("it is not shown")
	}
}

func TestPageBeginsWithTheThresholds(t *testing.T) {
	for _, test := range []struct {
		thresholds []string
		want       []string
	}{
		{nil, []string{"✗ The run failed", "latency p50"}},
		{[]string{"latency.p50<2s", "errors<100"}, []string{"✓ All thresholds held", "✓ held", "latency.p50&lt;2s", "✓ held", "errors&lt;100", "latency p50"}},
		{[]string{"latency.p99<200ms", "errors<100"}, []string{"✗ Not all thresholds held", "✗ not held", "latency.p99&lt;200ms", "1.8", "✓ held", "errors&lt;100", "<td>5</td>", "latency p50"}},
	} {
		r := stalledRun()
		var all []threshold.Threshold
		for _, text := range test.thresholds {
			one, err := threshold.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, one)
		}
		if all != nil {
			r.Judge(all)
		}
		page, _ := written(t, r)
		_, rest, _ := strings.Cut(page, "<main>")
		for _, want := range test.want {
			_, after, found := strings.Cut(rest, want)
			if !found {
				t.Fatalf("%q: no %q in its place", test.thresholds, want)
			}
			rest = after
		}
	}
}

func TestTilesHaveTheFiguresThatMatter(t *testing.T) {
	got := map[string]tile{}
	for _, tile := range (page{stalledRun()}).Tiles() {
		got[tile.Label] = tile
	}
	for _, want := range []tile{
		{"connections", "95", "of 100"}, {"sent a second", "1,000", "of 1,000 asked for"}, {"received a second", "1,000", "for 10.0 s"}, {"errors", "5", "in all"}, {"latency p99", "1.9s", "max 2s"},
	} {
		if got[want.Label] != want {
			t.Errorf("%+v, want %+v", got[want.Label], want)
		}
	}
	if _, ok := got["one-way latency p99"]; !ok || len(got) != 8 {
		t.Errorf("%+v", got)
	}
}

func TestPageOfAMemberHasAllMembersAndWhatTheyHeld(t *testing.T) {
	r := &Report{Cluster: &Cluster{Status: twoMembers}, result: measure.NewResult(), samples: []measure.Sample{
		{At: 0, Snapshot: measure.Snapshot{Cluster: measure.ClusterCounts{Members: 1}}},
		{At: time.Second, Snapshot: measure.Snapshot{Up: 3000, Cluster: measure.ClusterCounts{Members: 2, Held: 100, HeldByAll: 256, Up: 6000, TakenOver: 7}}},
	}}
	page, _ := written(t, r)
	for _, want := range []string{`<th scope="row">left-1 (leaving)</th>`, `<th scope="row">right-2</th>`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
	for title, want := range map[string][]float64{
		"Members of the cluster": {2}, "Keys connected": {6000, 3000}, "Partitions held": {256, 100}, "Partitions moved, so far": {7},
	} {
		for i, line := range chartNamed(t, r, title).Lines {
			if got := at(line, 1); got != want[i] {
				t.Errorf("%s, %s: %v", title, line.Name, got)
			}
		}
	}
}
