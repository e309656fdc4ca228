package tree

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/seed004e8d11/websock"

// arrows says which packages of this module, by prefix, a package may import. The
// longest prefix of its own path counts.
var arrows = map[string][]string{
	"":                       {"engine", "internal/deadline", "internal/endpoint", "internal/handshake", "internal/keepalive", "internal/timing", "transport/std", "transport/tls"},
	"engine":                 {"mask", "internal"},
	"mask":                   {"internal"},
	"transport":              {"engine", "internal", "transport/std", "transport/tls"},
	"transport/std":          {"engine", "internal", "transport/tls"},
	"transport/tls":          {"engine", "internal"},
	"internal":               {"internal", "mask"},
	"internal/handshake":     {"engine", "internal/endpoint"},
	"internal/keepalive":     {"engine"},
	"internal/transporttest": {"engine", "internal", "transport/tls"},
	"cmd":                    {""},
	"fanout":                 {""},
	"examples":               {""},
	"fuzz":                   {""},
}

// core are the packages without goroutines and timers.
var core = []string{"engine", "mask", "internal/utf8", "internal/buffer"}

// A rule keeps imports, named by prefix, out of files.
type rule struct {
	files, except []string // patterns of path.Match
	denied        []string
}

// rules are those of .golangci.yml, for whoever has no golangci-lint.
var rules = []rule{
	{ // bytes in, events out
		files:  []string{"mask/*.go", "internal/utf8/*.go", "engine/*.go"},
		except: []string{"engine/agreement.go", "engine/conn.go", "engine/transport.go", "engine/errors.go", "engine/netconn.go", "engine/send_context.go"},
		denied: []string{"net", "context", "os/exec", "golang.org/x/sync"},
	},
	{ // no clock either
		files: []string{
			"mask/*.go", "internal/utf8/*.go",
			"engine/decoder.go", "engine/header.go", "engine/opcode.go", "engine/closecode.go", "engine/role.go",
		},
		denied: []string{"time", "io"},
	},
}

// A source is one parsed file.
type source struct {
	path string // of the file, below the module's root
	file *ast.File
	test bool
}

func (s *source) dir() string { return strings.TrimPrefix(filepath.ToSlash(filepath.Dir(s.path)), ".") }

// parse reads one file; src nil means from path below root.
func parse(t *testing.T, root, path string, src any) *source {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, path), src, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return &source{path: path, file: file, test: strings.HasSuffix(path, "_test.go")}
}

// tree parses all files of this module, nested modules left out.
func tree(t *testing.T) []*source {
	const root = "../.."
	var sources []*source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, _ := filepath.Rel(root, path)
		if d.IsDir() && below != "." {
			_, err := os.Stat(filepath.Join(path, "go.mod"))
			if err == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
				return filepath.SkipDir
			}
		}
		if strings.HasSuffix(path, ".go") {
			sources = append(sources, parse(t, root, below, nil))
		}
		return nil
	})
	if err != nil || len(sources) < 50 {
		t.Fatal(len(sources), "files found;", err)
	}
	return sources
}

// allowed returns the packages that a package may import.
func allowed(dir string) []string {
	longest := ""
	for prefix := range arrows {
		if (dir == prefix || strings.HasPrefix(dir, prefix+"/")) && len(prefix) > len(longest) {
			longest = prefix
		}
	}
	return arrows[longest]
}

// strayImports returns the imports of a file that go against the arrows.
func strayImports(s *source) (stray []string) {
	for _, i := range s.file.Imports {
		imported, ours := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), module)
		imported = strings.TrimPrefix(imported, "/")
		if !ours || s.test {
			continue
		}
		ok := false
		for _, prefix := range allowed(s.dir()) {
			ok = ok || prefix == "" || imported == prefix || strings.HasPrefix(imported, prefix+"/")
		}
		if !ok {
			stray = append(stray, fmt.Sprintf("%s imports %q", s.path, imported))
		}
	}
	return stray
}

// deniedImports returns the imports of a file that a rule keeps out of it.
func deniedImports(s *source) (denied []string) {
	for _, r := range rules {
		if s.test || !matches(r.files, s.path) || matches(r.except, s.path) {
			continue
		}
		for _, i := range s.file.Imports {
			imported := strings.Trim(i.Path.Value, `"`)
			for _, prefix := range r.denied {
				if imported == prefix || strings.HasPrefix(imported, prefix+"/") {
					denied = append(denied, fmt.Sprintf("%s imports %q", s.path, imported))
				}
			}
		}
	}
	return denied
}

func matches(patterns []string, file string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, _ := path.Match(pattern, filepath.ToSlash(file))
		return ok
	})
}

// concurrency returns what a file does that the core must not: start goroutines,
// sleep, set timers.
func concurrency(s *source) (found []string) {
	forbidden := map[string]bool{"Sleep": true, "After": true, "AfterFunc": true, "NewTimer": true, "NewTicker": true, "Tick": true}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, s.path+" starts a goroutine")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && forbidden[n.Sel.Name] {
				found = append(found, s.path+" calls time."+n.Sel.Name)
			}
		}
		return true
	})
	return found
}

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

func TestImportsFollowTheArrows(t *testing.T) {
	for _, s := range tree(t) {
		for _, stray := range strayImports(s) {
			t.Error(stray)
		}
	}
}

func TestTheCoreKnowsNoNetworkAndTheDecoderNoClock(t *testing.T) {
	for _, s := range tree(t) {
		for _, denied := range deniedImports(s) {
			t.Error(denied)
		}
	}
}

func TestTheCoreStartsNothing(t *testing.T) {
	for _, s := range tree(t) {
		for _, dir := range core {
			if s.dir() == dir && !s.test {
				for _, found := range concurrency(s) {
					t.Error(found)
				}
			}
		}
	}
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

func TestEveryPublicPackageHasADocFileAndAnExample(t *testing.T) {
	documented, example, public := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, s := range tree(t) {
		dir := s.dir()
		if s.file.Name.Name == "main" {
			continue
		}
		if !s.test && dir != "fuzz" && !strings.HasPrefix(dir, "internal") {
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

// suiteTests returns the names of the tests that all transports pass.
func suiteTests(s *source) (names []string) {
	if filepath.ToSlash(s.path) != "internal/transporttest/suite.go" {
		return nil
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			names = append(names, strings.Trim(literal.Value, `"`))
		}
		return true
	})
	return names
}

func TestTheTestsThatTheDocumentsNameExist(t *testing.T) {
	exists := map[string]bool{}
	for _, s := range tree(t) {
		for name := range s.file.Scope.Objects {
			exists[name] = exists[name] || s.test
		}
		for _, name := range suiteTests(s) {
			exists["TestTransport/"+name] = true
		}
	}
	text, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test[A-Za-z0-9/]+)`").FindAllStringSubmatch(string(text), -1)
	if len(named) < 10 {
		t.Fatalf("only %d tests are named", len(named))
	}
	for _, n := range named {
		if !exists[n[1]] {
			t.Errorf("SECURITY.md names %s, which doesn't exist", n[1])
		}
	}
}

func TestTheRulesCatchWhatBreaksThem(t *testing.T) {
	bad := parse(t, "", "engine/decoder.go", `package engine

import (
	"net/http"
	"time"

	_ "github.com/seed004e8d11/websock/transport/std"
	_ "github.com/seed004e8d11/websock"
)

type Bare struct{}

func (Bare) Method() { go time.Sleep(1) }

func Function() {}

var Value = time.After(1)
`)
	if got := strayImports(bad); len(got) != 2 {
		t.Errorf("imports: %q", got)
	}
	if got := deniedImports(bad); len(got) != 2 {
		t.Errorf("denied imports: %q", got)
	}
	if got := concurrency(bad); len(got) != 3 {
		t.Errorf("concurrency: %q", got)
	}
	if got := undocumented(bad); len(got) != 4 {
		t.Errorf("documentation: %q", got)
	}
}
