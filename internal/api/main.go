package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/token"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/seed004e8d11/websock/internal/exportdata"
)

const (
	module = "github.com/seed004e8d11/websock"
	folder = "docs/api"
)

// platform is what the listing is made for, whatever the machine is.
var platform = []string{"GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0"}

func main() {
	log.SetFlags(0)
	log.SetPrefix("api: ")
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(modules []string) error {
	if len(modules) == 0 {
		return errors.New("no modules are named") // an empty listing would be written
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	for _, dir := range modules {
		packages, err := public(dir)
		if err != nil {
			return err
		}
		if err := write(dir, packages); err != nil {
			return err
		}
	}
	return nil
}

// public returns the paths of a module's packages that others can import.
func public(dir string) (paths []string, err error) {
	list := exec.Command("go", "list", "-f", "{{.Name}} {{.ImportPath}}", "./...")
	list.Dir = dir
	list.Env = append(os.Environ(), platform...)
	list.Stderr = os.Stderr
	output, err := list.Output()
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(output)) {
		name, path, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name != "main" && !internal(path) {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

// internal reports whether only this module can import a package.
func internal(path string) bool { return strings.Contains(path, "/internal/") }

// write lists each package that exports something in a file of its own.
func write(dir string, packages []string) error {
	load, err := exportdata.Load(dir, platform, packages...)
	if err != nil {
		return err
	}
	importer := load(token.NewFileSet())
	for _, path := range packages {
		p, err := importer.Import(path)
		if err != nil {
			return err
		}
		lines := listing(p)
		if len(lines) == 0 {
			continue
		}
		file := filepath.Join(folder, fileName(path))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			return err
		}
		var text bytes.Buffer
		fmt.Fprintf(&text, "package %s // import %q\n\n%s\n", p.Name(), path, strings.Join(lines, "\n"))
		if err := os.WriteFile(file, text.Bytes(), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// fileName returns the name of a package's listing below the folder.
func fileName(path string) string {
	below := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
	if below == "" {
		below = "websock"
	}
	return filepath.FromSlash(below) + ".txt"
}
