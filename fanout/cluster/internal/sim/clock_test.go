package sim

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Nothing that a member decides may depend on the time of day, which can be changed. So there is
// nothing to simulate: of the packages that decide, only the Clocks read the time.
func TestMembersDoNotReadTheTimeOfDay(t *testing.T) {
	for _, dir := range []string{"../assign", "../machine", "../member"} {
		paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(paths) == 0 {
			t.Fatal(dir, err)
		}
		for _, path := range paths {
			if name := filepath.Base(path); strings.HasSuffix(name, "_test.go") || dir == "../member" && strings.HasPrefix(name, "clock") {
				continue
			}
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range readsOfTime(t, source) {
				t.Errorf("%s calls time.%s", path, name)
			}
		}
	}
	if got := readsOfTime(t, []byte(`package p; import "time"; var x = time.Now()`)); len(got) != 1 {
		t.Error("time.Now is not noticed")
	}
}

// readsOfTime returns the functions of package time that a source names and that tell the time of day.
func readsOfTime(t *testing.T, source []byte) (names []string) {
	file, err := parser.ParseFile(token.NewFileSet(), "", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		of, ok := selector.X.(*ast.Ident)
		switch selector.Sel.Name {
		case "Now", "Since", "Until":
			if ok && of.Name == "time" {
				names = append(names, selector.Sel.Name)
			}
		}
		return true
	})
	return names
}
