package live

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

func TestPlainLinesWhereThereIsNoTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		d := New(Options{Out: &out, Connections: 1000})
		begin := time.Now()
		d.Start(t.Context(), func() measure.Snapshot {
			if at := time.Since(begin); at >= 2*time.Second {
				n := int64(at-2*time.Second) / int64(time.Millisecond)
				return measure.Snapshot{Phase: "exchanging", Up: 900, Sent: 3 * n, Received: n, Errors: 100, Reconnects: 7}
			}
			return measure.Snapshot{Phase: "dialing", Asked: 500}
		})
		time.Sleep(13 * time.Second)
		d.Write([]byte("a log\n"))
		d.Stop()
		d.Stop()
		want := "" +
			"0:00 dialing: 0 of 500 up, 0 errors\n" +
			"0:02 exchanging: 900 of 1,000 up, 7 reconnected, 100 errors\n" +
			"0:07 exchanging: 900 of 1,000 up, 3,000/s sent, 1,000/s received, 7 reconnected, 100 errors\n" +
			"0:12 exchanging: 900 of 1,000 up, 3,000/s sent, 1,000/s received, 7 reconnected, 100 errors\n" +
			"a log\n"
		if got := out.String(); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	})
}

func TestAPlainLineHasAllThatThereIs(t *testing.T) {
	h := measure.NewHistogram()
	h.Record(time.Millisecond)
	l := lines{options: &Options{Connections: 6000}}
	got := l.add(measure.Sample{At: time.Second, Snapshot: measure.Snapshot{
		Phase: "\x1b[2J", Asked: 2011, Up: 2000, Sent: 5, Received: 5, Latency: h.Buckets(), OneWay: h.Buckets(), Lateness: h.Buckets(),
		Cluster: measure.ClusterCounts{Members: 3, Up: 5988},
	}})
	want := `0:01 \x1b[2J: 2,000 of 2,011 up, 5,988 of 6,000 by 3 members, 5.0/s sent, 5.0/s received, ` +
		"latency p50 1.02 ms p99 1.02 ms, one-way p50 1.02 ms p99 1.02 ms, lateness p50 1.02 ms p99 1.02 ms, 0 errors"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAPlainLineOfOneMemberIsInTheSingular(t *testing.T) {
	l := lines{options: &Options{Connections: 300}}
	got := l.add(measure.Sample{Snapshot: measure.Snapshot{Phase: "exchanging", Asked: 300, Up: 300, Cluster: measure.ClusterCounts{Members: 1, Up: 300}}})
	if want := "0:00 exchanging: 300 of 300 up, 300 of 300 by 1 member, 0 errors"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestQuietShowsNothingButTheLog(t *testing.T) {
	var out bytes.Buffer
	d := New(Options{Out: &out, Quiet: true})
	d.Start(t.Context(), func() measure.Snapshot {
		t.Error("a snapshot is taken")
		return measure.Snapshot{}
	})
	d.Write([]byte("an error\n"))
	d.Stop()
	if out.String() != "an error\n" {
		t.Errorf("%q", out.String())
	}
}

func TestALogIsKeptWhileThereIsAScreen(t *testing.T) {
	var out bytes.Buffer
	l := log{out: &out}
	l.Write([]byte("before\n"))
	l.hold()
	l.Write([]byte("one\ntw"))
	if got := l.latest(); len(got) != 1 || got[0] != "one" || out.String() != "before\n" {
		t.Errorf("%q, %q", got, out.String())
	}
	l.Write([]byte("o\x1b\nthr"))
	if got := l.latest(); len(got) != 2 || got[1] != `two\x1b` {
		t.Errorf("%q", got)
	}
	l.release()
	l.Write([]byte("ee\n"))
	if out.String() != "before\none\ntwo\x1b\nthree\n" {
		t.Errorf("%q", out.String())
	}
}

func TestALogIsBounded(t *testing.T) {
	var out bytes.Buffer
	l := log{out: &out}
	l.hold()
	for i := range 2 * maxLog {
		fmt.Fprintln(&l, i)
	}
	l.Write(bytes.Repeat([]byte("x"), 3*maxLogLine))
	if len(l.lines) != maxLog || len(l.rest) > maxLogLine || len(l.latest()) != 10 {
		t.Errorf("%d lines, %d bytes", len(l.lines), len(l.rest))
	}
	l.release()
	if text := out.String(); !strings.HasPrefix(text, "(1001 lines before these are left out)\n1001\n") || !strings.Contains(text, "\n1999\nxxx") {
		t.Errorf("%.100q", text)
	}
}
