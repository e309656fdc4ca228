package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// inVenv returns the path of a program in the virtual environment that `make interop` makes.
func inVenv(t *testing.T, program string) string {
	t.Helper()
	path := filepath.Join(os.Getenv("VIRTUAL_ENV"), "bin", program)
	if _, err := os.Stat(path); os.Getenv("VIRTUAL_ENV") == "" || err != nil {
		missing(t, program+" of PyPI", "run `make interop` in place of `go test`")
	}
	return path
}

// pythonPackage returns the version of a package of that environment.
func pythonPackage(name string) func(*testing.T) string {
	return func(t *testing.T) string { return packageVersion(t, inVenv(t, "python3"), name) }
}

// debianPythonPackage returns the version of a package of Debian.
func debianPythonPackage(name string) func(*testing.T) string {
	return func(t *testing.T) string { return packageVersion(t, python, name) }
}

func packageVersion(t *testing.T, interpreter, name string) string {
	t.Helper()
	script := "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
	version, err := exec.Command(interpreter, "-c", script, name).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, version)
	}
	return strings.TrimSpace(string(version))
}

// venvServer starts a script with packages of PyPI, which has the arguments of scriptServer.
func venvServer(script string) func(*testing.T, *certificate) opener {
	return commandServer(func(t *testing.T) serverCommand {
		python := inVenv(t, "python3")
		return func(port string, files ...string) *exec.Cmd {
			return exec.Command(python, append([]string{script, port}, files...)...)
		}
	})
}

// venvClient runs a script with packages of PyPI, which has the arguments of scriptClient.
func venvClient(script string) func(*testing.T, *certificate) opener {
	return func(t *testing.T, c *certificate) opener {
		return scriptClient(func(*testing.T) {}, inVenv(t, "python3"), script)(t, c)
	}
}

// uvicorn runs servers/asgi.py with one of its implementations of WebSocket.
func uvicorn(implementation string) func(*testing.T, *certificate) opener {
	return commandServer(func(t *testing.T) serverCommand {
		program := inVenv(t, "uvicorn")
		return func(port string, files ...string) *exec.Cmd {
			args := []string{"--app-dir=servers", "--port=" + port, "--ws=" + implementation, "--log-level=warning"}
			if files != nil {
				args = append(args, "--ssl-certfile="+files[0], "--ssl-keyfile="+files[1])
			}
			return exec.Command(program, append(args, "asgi:echo")...)
		}
	})
}

// hypercorn runs servers/asgi.py in the process that it starts, which would otherwise leave others behind.
func hypercorn(t *testing.T) serverCommand {
	program := inVenv(t, "hypercorn")
	return func(port string, files ...string) *exec.Cmd {
		args := []string{"--workers=0", "--bind=127.0.0.1:" + port}
		if files != nil {
			args = append(args, "--certfile="+files[0], "--keyfile="+files[1])
		}
		return exec.Command(program, append(args, "servers/asgi:echo")...)
	}
}

// hypercornHTTP2 is a front that echoes.
func hypercornHTTP2(t *testing.T, _ string, c *certificate, _ string, secure bool) string {
	return address(t, func(port string) *exec.Cmd {
		if secure {
			return hypercorn(t)(port, c.files["cert"], c.files["key"])
		}
		return hypercorn(t)(port)
	})
}
