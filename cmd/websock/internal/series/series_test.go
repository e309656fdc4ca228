package series

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

// growing returns a function that returns what a run has measured that sends 1000 messages a second, each
// of which is answered in the time since the run began.
func growing() func() measure.Snapshot {
	begin := time.Now()
	h := measure.NewHistogram()
	return func() measure.Snapshot {
		d := time.Since(begin)
		h.Record(d)
		return measure.Snapshot{
			Phase: `"up", and more`, Asked: 10, Up: 9, Ended: 1, Due: 2 * d.Milliseconds(), Sent: d.Milliseconds(), Received: d.Milliseconds() / 2,
			SentBytes: 5000 * d.Milliseconds(), Errors: 3, ErrorsByKind: map[string]int64{"dial refused": 2, "TLS": 1}, Latency: h.Buckets(),
		}
	}
}

func TestARowAtEveryIntervalAsItHappensAndOneAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, begin := &recorder{takes: 100}, time.Now()
		s := Start(out, NDJSON, time.Second, growing())
		time.Sleep(2*time.Second + 500*time.Millisecond)
		synctest.Wait()
		if lines, at := out.written(); len(lines) != 2 || at[0] != begin.Add(time.Second) || at[1] != begin.Add(2*time.Second) {
			t.Fatalf("%q at %v", lines, at)
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		lines, _ := out.written()
		var last struct {
			Time     time.Time
			Seconds  float64
			Phase    string
			Sent     int64
			Rate     float64          `json:"sent_per_second"`
			Bytes    float64          `json:"sent_bytes_per_second"`
			Max      *int64           `json:"latency_us_max"`
			Lateness *int64           `json:"lateness_us_p50"`
			Kinds    map[string]int64 `json:"errors_by_kind"`
		}
		if err := json.Unmarshal([]byte(lines[2]), &last); err != nil || len(lines) != 3 {
			t.Fatalf("%v: %q", err, lines)
		}
		if !last.Time.Equal(begin.Add(2500*time.Millisecond)) || last.Seconds != 2.5 || last.Phase != `"up", and more` ||
			last.Sent != 2500 || last.Rate != 1000 || last.Bytes != 5e6 || last.Lateness != nil ||
			*last.Max < 2_500_000 || *last.Max > 2_500_000*5/4 || last.Kinds["dial refused"] != 2 {
			t.Errorf("%s", lines[2])
		}
	})
}

func TestPercentilesAreThoseOfTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &recorder{takes: 100}
		h := measure.NewHistogram()
		h.Record(time.Hour)
		s := Start(out, CSV, time.Second, func() measure.Snapshot { return measure.Snapshot{Latency: h.Buckets()} })
		time.Sleep(1500 * time.Millisecond)
		h.Record(time.Millisecond)
		time.Sleep(2 * time.Second)
		s.Stop()
		lines, _ := out.written()
		rows, err := csv.NewReader(strings.NewReader(strings.Join(lines, ""))).ReadAll()
		if err != nil || len(rows) != 5 {
			t.Fatalf("%v: %q", err, lines)
		}
		at := slices.Index(rows[0], "latency_us_p99")
		if rows[1][at] == "" || rows[2][at] != "1024" || rows[3][at] != "" || rows[4][at] != "" {
			t.Errorf("%q %q %q %q", rows[1][at], rows[2][at], rows[3][at], rows[4][at])
		}
	})
}

func TestKeysAreTheColumnsAndErrorsByKind(t *testing.T) {
	var texts [2]string
	for format := range texts {
		synctest.Test(t, func(t *testing.T) {
			out := &recorder{takes: 100}
			s := Start(out, Format(format), time.Second, growing())
			time.Sleep(time.Second / 2)
			s.Stop()
			lines, _ := out.written()
			texts[format] = strings.Join(lines, "")
		})
	}
	rows, err := csv.NewReader(strings.NewReader(texts[CSV])).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%v: %s", err, texts[CSV])
	}
	var object map[string]any
	if err := json.Unmarshal([]byte(texts[NDJSON]), &object); err != nil {
		t.Fatal(err)
	}
	keys := append(slices.Clone(rows[0]), "errors_by_kind")
	if slices.Sort(keys); !slices.Equal(slices.Sorted(maps.Keys(object)), keys) {
		t.Errorf("%v", object)
	}
	if i := slices.Index(rows[0], "sent_bytes_per_second"); rows[1][i] != "5000000" { // not 5e+06
		t.Errorf("%s", rows[1][i])
	}
	if i := slices.Index(rows[0], "errors"); rows[1][i] != "3" {
		t.Errorf("%s errors", rows[1][i])
	}
	text, err := os.ReadFile("../../../../docs/measuring.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, line := range regexp.MustCompile("(?m)^\\| ((?:`[a-z0-9_]+`,? ?)+) \\|").FindAllStringSubmatch(string(text[strings.Index(string(text), "## Time series"):]), -1) {
		for name := range strings.SplitSeq(line[1], ", ") {
			documented = append(documented, strings.Trim(name, "`"))
		}
	}
	if want := append(slices.Clone(rows[0]), "errors_by_kind"); len(documented) < len(want) || !slices.Equal(documented[:len(want)], want) {
		t.Errorf("documented: %v\ncolumns:    %v", documented, want)
	}
}

func TestEveryNumberOfASnapshotIsAColumn(t *testing.T) {
	names := map[string]bool{}
	for _, c := range columns {
		names[c.name] = true
	}
	of := reflect.TypeFor[measure.Snapshot]()
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		if of.Field(i).Type.Kind() == reflect.Int64 && !names[name] {
			t.Errorf("%s is left out", name)
		}
	}
}

func TestWritingThatFailsDoesNotStopTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("no space left")
		out, asked := &recorder{takes: 3, err: full}, 0
		s := Start(out, NDJSON, time.Second, func() measure.Snapshot { asked++; return measure.Snapshot{} })
		time.Sleep(time.Hour)
		if err := s.Stop(); !errors.Is(err, full) || asked < 3600 {
			t.Errorf("%v, %d snapshots", err, asked)
		}
		if lines, _ := out.written(); len(lines) != 3 {
			t.Errorf("%d lines", len(lines))
		}
	})
}

func TestAReaderThatStopsReadingDelaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, asked := &recorder{takes: 3, release: make(chan struct{})}, 0
		s := Start(out, NDJSON, time.Second, func() measure.Snapshot { asked++; return measure.Snapshot{} })
		time.Sleep(time.Hour + time.Second/2)
		begin := time.Now()
		err := s.Stop()
		if err == nil || !strings.Contains(err.Error(), "the last 3598 are missing") || asked != 3601 || time.Since(begin) != patience {
			t.Errorf("%v, %d snapshots, %v", err, asked, time.Since(begin))
		}
		close(out.release)
	})
}

func TestARowAfterSkippedOnesIsAboutAllOfTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &recorder{takes: 3, release: make(chan struct{})}
		s := Start(out, CSV, time.Second, growing())
		time.Sleep(200*time.Second + time.Second/2)
		close(out.release)
		time.Sleep(time.Second)
		if err := s.Stop(); err == nil || !strings.Contains(err.Error(), "too slow") {
			t.Error(err)
		}
		lines, _ := out.written()
		rows, err := csv.NewReader(strings.NewReader(strings.Join(lines, ""))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		sent, rate := slices.Index(rows[0], "sent"), slices.Index(rows[0], "sent_per_second")
		next := rows[len(rows)-2] // the first one after room came
		if next[sent] != "201000" || next[rate] != "1000" || len(rows) > 3+maxWaiting+4 {
			t.Errorf("%d rows, %q", len(rows), next)
		}
	})
}

func TestFormatOfAFile(t *testing.T) {
	for name, want := range map[string]Format{"a.csv": CSV, "b/A.CSV": CSV, "a.ndjson": NDJSON, "-": NDJSON, "/dev/fd/3": NDJSON, "csv": NDJSON} {
		if got := FormatOf(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
