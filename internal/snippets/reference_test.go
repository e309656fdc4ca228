package snippets

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock"
)

func TestDocumentationListsAllLimitsAndErrors(t *testing.T) {
	var limits, errors []string
	for field := range reflect.TypeFor[websock.Limits]().Fields() {
		limits = append(limits, field.Name)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "../../errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name := range file.Scope.Objects {
		if ast.IsExported(name) {
			errors = append(errors, name)
		}
	}
	for doc, names := range map[string][]string{"limits.md": limits, "errors.md": errors} {
		text, err := os.ReadFile("../../docs/" + doc)
		if err != nil {
			t.Fatal(err)
		}
		if len(names) < 10 {
			t.Errorf("%s: found only %d names", doc, len(names))
		}
		for _, name := range names {
			if !strings.Contains(string(text), "`"+name+"`") && !strings.Contains(string(text), "`*"+name+"`") {
				t.Errorf("%s doesn't list %s", doc, name)
			}
		}
	}
}
