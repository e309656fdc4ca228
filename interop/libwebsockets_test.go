package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// libwebsocketsServer compiles servers/libwebsockets.c.
func libwebsocketsServer(t *testing.T) serverCommand {
	if _, err := os.Stat("/usr/include/libwebsockets.h"); err != nil {
		missing(t, "libwebsockets", "run `apt-get install libwebsockets-dev`")
	}
	if _, err := exec.LookPath("cc"); err != nil {
		missing(t, "cc", "install a C compiler")
	}
	program := filepath.Join(t.TempDir(), "echo")
	output, err := exec.Command("cc", "-Wall", "-Wextra", "-Werror", "-o", program, "servers/libwebsockets.c", "-lwebsockets").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return func(port string, files ...string) *exec.Cmd {
		return exec.Command(program, append([]string{port}, files...)...)
	}
}
