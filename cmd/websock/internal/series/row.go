package series

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

// A moment is a Snapshot with its time.
type moment struct {
	measure.Snapshot
	at time.Time
}

// A row says how a run is, and what happened since the row before.
type row struct {
	moment
	since moment
	begin time.Time // of the run
}

// A column is a field of every row. Its value is a string, an int64, a float64, or nil if there is none.
type column struct {
	name  string
	value func(*row) any
}

// columns are documented in docs/measuring.md. New ones are added at the end.
var columns = slices.Concat([]column{
	{"time", func(r *row) any { return r.at.UTC().Format("2006-01-02T15:04:05.000Z") }},
	{"seconds", func(r *row) any { return rounded(r.at.Sub(r.begin).Seconds()) }},
	{"phase", func(r *row) any { return r.Phase }},
	{"asked", func(r *row) any { return r.Asked }},
	{"waiting", func(r *row) any { return r.Waiting }},
	{"connecting", func(r *row) any { return r.Connecting }},
	{"up", func(r *row) any { return r.Up }},
	{"ended", func(r *row) any { return r.Ended }},
	{"sessions", func(r *row) any { return r.Sessions }},
	{"streams", func(r *row) any { return r.Streams }},
	{"attempts", func(r *row) any { return r.Attempts }},
	{"reconnects", func(r *row) any { return r.Reconnects }},
	{"errors", func(r *row) any { return r.Errors }},
	{"due", func(r *row) any { return r.Due }},
	{"unsent", func(r *row) any { return r.Unsent }},
	{"sent", func(r *row) any { return r.Sent }},
	{"awaited", func(r *row) any { return r.Awaited }},
	{"answered", func(r *row) any { return r.Answered }},
	{"received", func(r *row) any { return r.Received }},
	{"sent_bytes", func(r *row) any { return r.SentBytes }},
	{"received_bytes", func(r *row) any { return r.ReceivedBytes }},
	{"sent_per_second", func(r *row) any { return r.perSecond(func(s *measure.Snapshot) int64 { return s.Sent }) }},
	{"received_per_second", func(r *row) any { return r.perSecond(func(s *measure.Snapshot) int64 { return s.Received }) }},
	{"sent_bytes_per_second", func(r *row) any { return r.perSecond(func(s *measure.Snapshot) int64 { return s.SentBytes }) }},
	{"received_bytes_per_second", func(r *row) any { return r.perSecond(func(s *measure.Snapshot) int64 { return s.ReceivedBytes }) }},
},
	timeColumns("latency_us_", func(s *measure.Snapshot) measure.Buckets { return s.Latency }),
	timeColumns("lateness_us_", func(s *measure.Snapshot) measure.Buckets { return s.Lateness }),
	timeColumns("one_way_us_", func(s *measure.Snapshot) measure.Buckets { return s.OneWay }),
)

// timeColumns returns columns with percentiles of the times that were counted since the row before.
func timeColumns(prefix string, of func(*measure.Snapshot) measure.Buckets) (columns []column) {
	for _, p := range []struct {
		name     string
		quantile float64
	}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1}} {
		columns = append(columns, column{prefix + p.name, func(r *row) any {
			counted := of(&r.Snapshot).Sub(of(&r.since.Snapshot))
			if counted.Count() <= 0 {
				return nil
			}
			return counted.Quantile(p.quantile).Microseconds()
		}})
	}
	return columns
}

// perSecond returns by how much a counter has grown since the row before, a second.
func (r *row) perSecond(counter func(*measure.Snapshot) int64) any {
	d := r.at.Sub(r.since.at)
	if d <= 0 {
		return nil
	}
	return rounded(float64(counter(&r.Snapshot)-counter(&r.since.Snapshot)) / d.Seconds())
}

func rounded(x float64) float64 { return math.Round(x*1000) / 1000 }

// csvHeader returns the first line of a CSV file.
func csvHeader() []byte {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return csvLine(names)
}

// cell returns a value as the text of a CSV cell.
func cell(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}

func csvLine(cells []string) []byte {
	var line bytes.Buffer
	w := csv.NewWriter(&line)
	w.Write(cells) // to memory: it can't fail
	w.Flush()
	return line.Bytes()
}

// encode returns the row as a line.
func (r *row) encode(f Format) []byte {
	if f == CSV {
		cells := make([]string, len(columns))
		for i, c := range columns {
			cells[i] = cell(c.value(r))
		}
		return csvLine(cells)
	}
	var line bytes.Buffer
	for _, c := range columns {
		fmt.Fprintf(&line, "%s%q:%s", separator(&line), c.name, encoded(c.value(r)))
	}
	kinds := r.ErrorsByKind
	if kinds == nil {
		kinds = map[string]int64{}
	}
	fmt.Fprintf(&line, ",\"errors_by_kind\":%s}\n", encoded(kinds))
	return line.Bytes()
}

// separator returns what stands before the next key of an object.
func separator(object *bytes.Buffer) string {
	if object.Len() == 0 {
		return "{"
	}
	return ","
}

func encoded(value any) []byte {
	text, _ := json.Marshal(value) // strings and finite numbers: it can't fail
	return text
}
