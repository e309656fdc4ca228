package snippets

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/seed004e8d11/websock/internal/exportdata"
)

// Imports maps package names in snippets to import paths.
type Imports map[string]string

// A Snippet is a block of Go code.
type Snippet struct {
	File string
	Line int // of the block's first line of code
	Code string
}

// Of returns the Go code of a Markdown file.
func Of(file string) ([]Snippet, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var all []Snippet
	var code *strings.Builder
	for i, line := range strings.Split(string(text), "\n") {
		switch {
		case code == nil && line == "```go":
			code = &strings.Builder{}
			all = append(all, Snippet{File: file, Line: i + 2})
		case code != nil && line == "```":
			all[len(all)-1].Code = code.String()
			code = nil
		case code != nil:
			fmt.Fprintln(code, line)
		}
	}
	if code != nil {
		return nil, fmt.Errorf("%s: the last block is not closed", file)
	}
	return all, nil
}

// Check compiles snippets in the module in dir and returns all errors.
func Check(dir string, imports Imports, all []Snippet) error {
	packages, err := exportdata.Load(dir, nil, slices.Collect(maps.Values(imports))...)
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range all {
		errs = append(errs, s.check(imports, packages)...)
	}
	return errors.Join(errs...)
}

// check compiles the snippet.
func (s *Snippet) check(imports Imports, packages func(*token.FileSet) types.Importer) (errs []error) {
	set := token.NewFileSet()
	text := s.asFile(nil)
	file, err := parser.ParseFile(set, "", text, 0)
	if err != nil {
		return []error{fmt.Errorf("%s:%d: %w\n%s", s.File, s.Line, err, s.Code)}
	}
	text = s.asFile(needed(file, imports))
	if file, err = parser.ParseFile(set, "", text, 0); err != nil {
		return []error{err}
	}
	conf := types.Config{Importer: packages(set), Error: func(err error) {
		if err := err.(types.Error); !err.Soft {
			errs = append(errs, fmt.Errorf("%s:%d: %s\n%s", s.File, s.Line, err.Msg, s.Code))
		}
	}}
	conf.Check("snippet", set, []*ast.File{file}, nil) // reports to Error
	return errs
}

// asFile returns the snippet as a file with imports.
func (s *Snippet) asFile(imports []string) string {
	code := strings.TrimSpace(s.Code)
	for strings.HasPrefix(code, "//") {
		_, code, _ = strings.Cut(code, "\n")
	}
	word, _, _ := strings.Cut(code, " ")
	if word == "package" {
		return s.Code
	}
	text := "package snippet\n"
	for _, path := range imports {
		text += fmt.Sprintf("import %q\n", path)
	}
	if slices.Contains([]string{"import", "func", "type", "var", "const"}, word) {
		return text + s.Code
	}
	return text + "func snippet(ctx context.Context) error {\n" + s.Code + "\nreturn nil\n}\n"
}

// needed returns the import paths of names that the file uses but neither declares nor imports.
func needed(file *ast.File, imports Imports) (paths []string) {
	var has []string
	for _, spec := range file.Imports {
		has = append(has, spec.Path.Value)
	}
	for _, name := range file.Unresolved {
		path, ok := imports[name.Name]
		if ok && !slices.Contains(paths, path) && !slices.Contains(has, strconv.Quote(path)) {
			paths = append(paths, path)
		}
	}
	return paths
}
