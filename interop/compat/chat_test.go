package compat

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestAProgramWorksWithAnotherImportOnly(t *testing.T) {
	source, err := os.ReadFile("chat/main.go")
	if err != nil {
		t.Fatal(err)
	}
	const before, after = `"github.com/gorilla/websocket"`, `"github.com/seed004e8d11/websock/compat/gorilla"`
	if bytes.Count(source, []byte(before)) != 1 {
		t.Fatal("the program doesn't import gorilla once")
	}
	changed := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(changed, bytes.Replace(source, []byte(before), []byte(after), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	want, got := runs(t, "chat/main.go"), runs(t, changed)
	if got != want || strings.Count(want, "\n") != 27 {
		t.Errorf("with compat/gorilla:\n%s\nwant, as with gorilla:\n%s", got, want)
	}
}

// runs returns what the program prints.
func runs(t *testing.T, file string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "run", file)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%v: %s", err, &stderr)
	}
	return string(out)
}
