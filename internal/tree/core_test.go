package tree

import (
	"fmt"
	"go/ast"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// core are the packages without goroutines and timers.
var core = []string{"engine", "mask", "internal/utf8", "internal/buffer"}

// A rule keeps imports, named by prefix, out of files.
type rule struct {
	files  []string // patterns of path.Match
	denied []string
}

// rules are those of .golangci.yml, for whoever has no golangci-lint.
var rules = []rule{
	{ // bytes in, events out: no sockets and no clocks
		files:  []string{"mask/*.go", "internal/utf8/*.go", "engine/*.go"},
		denied: []string{"context", "crypto/tls", "io", "net", "os", "sync/atomic", "time", "golang.org/x/sync"},
	},
}

// deniedImports returns the imports of a file that a rule keeps out of it.
func deniedImports(s *source) (denied []string) {
	for _, r := range rules {
		if s.test || !matches(r.files, s.path) {
			continue
		}
		for _, imported := range s.imports() {
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

func TestWhatTheCoreMustNotDoIsFound(t *testing.T) {
	bad := written(t, "engine/decoder.go", `package engine

import (
	"net/http"
	"time"
)

func (Bare) Method() { go time.Sleep(1) }

var Value = time.After(1)
`)
	if got := deniedImports(bad); len(got) != 2 {
		t.Errorf("denied imports: %q", got)
	}
	if got := concurrency(bad); len(got) != 3 {
		t.Errorf("concurrency: %q", got)
	}
}
