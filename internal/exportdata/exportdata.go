package exportdata

import (
	"bytes"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"strings"
)

// Load compiles packages in dir with env added to the environment, and returns a function
// that makes an importer of them, and of the packages that they import, for a set of files.
func Load(dir string, env []string, packages ...string) (func(*token.FileSet) types.Importer, error) {
	list := exec.Command("go", append([]string{"list", "-deps", "-export", "-f", "{{.ImportPath}}={{.Export}}"}, packages...)...)
	list.Dir = dir
	list.Env = append(os.Environ(), env...)
	var problems bytes.Buffer
	list.Stderr = &problems
	output, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, &problems)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(output)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		files[path] = file
	}
	open := func(path string) (io.ReadCloser, error) { return os.Open(files[path]) }
	return func(set *token.FileSet) types.Importer { return importer.ForCompiler(set, "gc", open) }, nil
}
