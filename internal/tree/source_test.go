package tree

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	module = "github.com/seed004e8d11/websock"
	root   = "../.."
)

// A source is one parsed file.
type source struct {
	path   string // of the file, below root
	file   *ast.File
	test   bool
	nested bool // belongs to a module of its own
}

// dir returns the folder of a file, "" for the root.
func (s *source) dir() string { return strings.TrimPrefix(filepath.ToSlash(filepath.Dir(s.path)), ".") }

// imports returns the paths of the packages that a file imports.
func (s *source) imports() (paths []string) {
	for _, i := range s.file.Imports {
		paths = append(paths, strings.Trim(i.Path.Value, `"`))
	}
	return paths
}

// parse reads one file; src nil means from path below root.
func parse(path string, src any) (*source, error) {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, path), src, parser.ParseComments)
	return &source{path: path, file: file, test: strings.HasSuffix(path, "_test.go")}, err
}

// withoutSources are directories without files to parse. Other programs may write to them now.
var withoutSources = []string{"testdata", "node_modules", "target"}

// parsed parses all files of all modules, whatever platform they are for.
var parsed = sync.OnceValues(func() (sources []*source, err error) {
	nested := map[string]bool{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, _ := filepath.Rel(root, path)
		if d.IsDir() && below != "." {
			if strings.HasPrefix(d.Name(), ".") || slices.Contains(withoutSources, d.Name()) {
				return filepath.SkipDir
			}
			_, err := os.Stat(filepath.Join(path, "go.mod"))
			nested[below] = err == nil || nested[filepath.Dir(below)]
		}
		if strings.HasSuffix(path, ".go") {
			s, err := parse(below, nil)
			if err != nil {
				return err
			}
			s.nested = nested[filepath.Dir(below)]
			sources = append(sources, s)
		}
		return nil
	})
	return sources, err
})

func tree(t *testing.T) []*source {
	t.Helper()
	sources, err := parsed()
	if err != nil || len(sources) < 50 {
		t.Fatal(len(sources), "files found;", err)
	}
	return sources
}

// written returns the file at path with that text.
func written(t *testing.T, path, text string) *source {
	t.Helper()
	s, err := parse(path, text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
