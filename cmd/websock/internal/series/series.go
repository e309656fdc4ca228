// Package series writes what a run measures over time as a table for other programs: rows of CSV or
// of newline-delimited JSON, each as soon as its interval has passed.
package series

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

// A Format says how rows are written.
type Format int

// The formats.
const (
	NDJSON Format = iota // an object a line, with the keys of the CSV columns, and "errors_by_kind"
	CSV                  // a line with the names of the columns, then a line for each row
)

// FormatOf returns the format of a file: CSV if its name ends in .csv.
func FormatOf(name string) Format {
	if strings.HasSuffix(strings.ToLower(name), ".csv") {
		return CSV
	}
	return NDJSON
}

const (
	maxWaiting = 64          // rows that wait for the writer
	patience   = time.Second // for these at the end
)

// A Series writes a row at every interval. Whoever reads the rows can't delay the run: while too many
// wait to be written there are no new ones, and the one that comes then is about all of that time.
type Series struct {
	snapshot func() measure.Snapshot
	interval time.Duration
	format   Format
	begin    time.Time
	last     moment // of the latest row that waits or was written

	out      io.Writer
	rows     chan []byte
	skipped  int // rows that there was no room for
	quit     chan struct{}
	sampling sync.WaitGroup
	written  chan error // gets the first error of writing, or nil, when all rows are written
}

// Start starts to write rows to out, one in each call of Write. snapshot returns what was measured so
// far. Stop must be called.
func Start(out io.Writer, format Format, interval time.Duration, snapshot func() measure.Snapshot) *Series {
	s := &Series{
		snapshot: snapshot, interval: interval, format: format, begin: time.Now(),
		out: out, rows: make(chan []byte, maxWaiting), quit: make(chan struct{}), written: make(chan error, 1),
	}
	s.last.at = s.begin
	if format == CSV {
		s.rows <- csvHeader()
	}
	go s.write()
	s.sampling.Go(s.sample)
	return s
}

// sample appends rows until Stop is called, and a last one then.
func (s *Series) sample() {
	defer close(s.rows)
	tick := time.NewTicker(s.interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.append()
		case <-s.quit:
			s.append()
			return
		}
	}
}

// append adds a row to those that wait, if there is room.
func (s *Series) append() {
	now := moment{s.snapshot(), time.Now()}
	next := row{moment: now, since: s.last, begin: s.begin}
	select {
	case s.rows <- next.encode(s.format):
		s.last = now
	default:
		s.skipped++
	}
}

// write writes the rows. After an error it drops them.
func (s *Series) write() {
	var failed error
	for line := range s.rows {
		if failed == nil {
			_, failed = s.out.Write(line)
		}
	}
	s.written <- failed
}

// Stop writes a last row. It waits a second for rows to be written that are still waiting. The error says
// which rows are missing.
func (s *Series) Stop() error {
	close(s.quit)
	s.sampling.Wait()
	select {
	case err := <-s.written:
		if err == nil && s.skipped > 0 {
			err = fmt.Errorf("whoever reads the rows was too slow: there are %d fewer, and others are about a longer time", s.skipped)
		}
		return err
	case <-time.After(patience):
		return fmt.Errorf("whoever reads the rows is too slow: the last %d are missing", len(s.rows)+s.skipped+1)
	}
}
