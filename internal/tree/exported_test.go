package tree

import (
	"go/ast"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// undocumented returns the exported names of a file without a doc comment. In a
// group of constants or variables, one for the group or one at the end of the line
// will do.
func undocumented(s *source) (names []string) {
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && exportedReceiver(d) && d.Doc == nil && !obvious[d.Name.Name] {
				names = append(names, s.path+": "+d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
						names = append(names, s.path+": "+spec.Name.Name)
					}
				case *ast.ValueSpec:
					if spec.Names[0].IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
						names = append(names, s.path+": "+spec.Names[0].Name)
					}
				}
			}
		}
	}
	return names
}

// obvious are methods that an interface of the standard library documents.
var obvious = map[string]bool{"Error": true, "Timeout": true, "Temporary": true, "Is": true, "Unwrap": true, "String": true}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	t := d.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	name, ok := t.(*ast.Ident)
	return ok && name.IsExported()
}

func TestEverythingExportedIsDocumented(t *testing.T) {
	for _, s := range tree(t) {
		if s.test || s.file.Name.Name == "main" {
			continue
		}
		for _, name := range undocumented(s) {
			t.Error(name)
		}
	}
}

// tests are folders whose packages only test and measure.
var tests = []string{"bench", "fuzz", "interop"}

func TestEveryPublicPackageHasADocFileAndAnExample(t *testing.T) {
	documented, example, public := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, s := range tree(t) {
		dir := s.dir()
		if s.file.Name.Name == "main" {
			continue
		}
		top, _, _ := strings.Cut(dir, "/")
		if !s.test && !isInternal(dir) && !slices.Contains(tests, top) {
			public[dir] = true
		}
		if filepath.Base(s.path) == "doc.go" && s.file.Doc != nil {
			documented[dir] = true
		}
		for name := range s.file.Scope.Objects {
			example[dir] = example[dir] || s.test && strings.HasPrefix(name, "Example")
		}
	}
	if len(public) < 6 {
		t.Fatalf("only %d public packages found", len(public))
	}
	for dir := range public {
		if !documented[dir] || !example[dir] {
			t.Errorf("package %q: doc.go %v, example %v", dir, documented[dir], example[dir])
		}
	}
}

func TestExportedNamesWithoutDocumentationAreFound(t *testing.T) {
	bad := written(t, "engine/decoder.go", `package engine

type Bare struct{}

func (Bare) Method() {}

func Function() {}

var Value = 1
`)
	if got := undocumented(bad); len(got) != 4 {
		t.Errorf("documentation: %q", got)
	}
}
