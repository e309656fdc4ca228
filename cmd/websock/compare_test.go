package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCompareTwoRuns(t *testing.T) {
	url, _ := startServer(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	_, got := runFanout(t, "-url", url, "-n", "2", "-duration", "50ms")
	before := write("before.json", got.out)
	_, got = runFanout(t, "-url", url, "-n", "3", "-duration", "50ms")
	after := write("after.json", got.out)
	same := command(t.Context(), "", "compare", "-fail-above", "0%", before, before)
	if same.code != 0 || strings.Contains(same.out, "worse") || strings.Contains(same.out, "different") {
		t.Errorf("%+v", same)
	}
	more := command(t.Context(), got.out, "compare", "-fail-above", "0", "-figures", "connections", before, "-")
	if more.code != 0 || !strings.Contains(more.out, "connections: 2, then 3") || !strings.Contains(more.out, "+50.0 %  better") {
		t.Errorf("%+v", more)
	}
	fewer := command(t.Context(), "", "compare", "-json", "-fail-above", "10%", "-figures", "connections,errors_total", after, before)
	var c struct {
		Worse   bool
		Figures []struct{ Figure, Verdict string }
	}
	if err := json.Unmarshal([]byte(fewer.out), &c); err != nil || fewer.code != 7 || !c.Worse || c.Figures[0].Figure != "connections" || c.Figures[0].Verdict != "too much worse" {
		t.Errorf("%+v", fewer)
	}
	if table := command(t.Context(), "", "compare", after, before); table.code != 0 || !strings.Contains(table.out, "-33.3 %  worse\n") {
		t.Errorf("%+v", table)
	}
}
