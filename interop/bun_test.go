package interop

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// bun returns the path of Bun, which bench installs for its own use.
func bun(t *testing.T) string {
	t.Helper()
	installed, err := filepath.Glob("../bench/others/ws/node_modules/@oven/bun-*/bin/bun")
	if err != nil {
		t.Fatal(err)
	}
	if installed == nil {
		missing(t, "Bun", "run `make interop` in place of `go test`")
	}
	return installed[0]
}

func bunVersion(t *testing.T) string {
	version, err := exec.Command(bun(t), "--version").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, version)
	}
	return strings.TrimSpace(string(version))
}

func bunServer(t *testing.T) serverCommand {
	program := bun(t)
	return func(port string, files ...string) *exec.Cmd {
		return exec.Command(program, append([]string{"servers/bun.js", port}, files...)...)
	}
}

func bunClient(t *testing.T, c *certificate) opener {
	return scriptClient(func(*testing.T) {}, bun(t), "clients/bun.js")(t, c)
}
