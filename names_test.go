package websock_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// protocolNames are the names of package engine that package websock does without: for those who use
// the protocol without a connection.
var protocolNames = []string{
	"Decoder", "Encoder", "Event", "EventKind", "PerMessageDeflate",
	"NewDecoder", "NewEncoder", "NewPerMessageDeflate", "ParseHeader", "AppendHeader", "ParseClose", "AppendClose", "CheckClose",
	"MaxHeaderSize", "MaxControlPayload", "RSV1", "Unlimited", "CompressedBound",
	"Closing", "ClosingState", "StateOpen", "StateCloseSent", "StateCloseReceived", "StateAborted", "StateClosed",
	"EventNone", "EventData", "EventPing", "EventPong", "EventClose",
}

func TestPackageWebsockHasTheEverydayNamesOfEngine(t *testing.T) {
	here, there := exportedNames(t, "."), exportedNames(t, "engine")
	for _, name := range protocolNames {
		if !there[name] {
			t.Errorf("engine has no %s", name)
		}
		delete(there, name)
	}
	for name := range there {
		if !here[name] {
			t.Errorf("websock has no alias of engine.%s", name)
		}
	}
}

// exportedNames returns what a package exports beside methods.
func exportedNames(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	add := func(ids ...*ast.Ident) {
		for _, id := range ids {
			if id.IsExported() {
				names[id.Name] = true
			}
		}
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					add(d.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						add(s.Name)
					case *ast.ValueSpec:
						add(s.Names...)
					}
				}
			}
		}
	}
	return names
}
