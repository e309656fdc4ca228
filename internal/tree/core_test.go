package tree

import (
	"bytes"
	"fmt"
	"go/ast"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// ioAndTime are packages that the core doesn't import, with those below them.
var ioAndTime = []string{"context", "crypto/tls", "golang.org/x/sync", "io", "net", "os", "time"}

// core are the packages without I/O, each with the imports that it doesn't have. They know no
// clock, start no goroutine and wait for nothing: of package sync they use Pool alone. One goroutine
// at a time uses what they have, except buffers. .golangci.yml has the same rules.
var core = map[string][]string{
	"engine":           append([]string{"sync/atomic"}, ioAndTime...),
	"mask":             append([]string{"sync/atomic"}, ioAndTime...),
	"internal/utf8":    append([]string{"sync/atomic"}, ioAndTime...),
	"internal/deflate": append([]string{"sync/atomic"}, ioAndTime...),
	"internal/buffer":  ioAndTime,
}

// undependable are packages that the core doesn't depend on in any way.
var undependable = []string{"net", "net/http", "crypto/tls"}

// impurities returns what a file of the core has that it must not have.
func impurities(s *source) (found []string) {
	for _, imported := range s.imports() {
		for _, prefix := range core[s.dir()] {
			if imported == prefix || strings.HasPrefix(imported, prefix+"/") {
				found = append(found, fmt.Sprintf("%s imports %q", s.path, imported))
			}
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, s.path+" starts a goroutine")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "sync" && n.Sel.Name != "Pool" {
				found = append(found, s.path+" uses sync."+n.Sel.Name)
			}
		}
		return true
	})
	return found
}

func TestTheCoreHasNoIOAndNoClock(t *testing.T) {
	for _, s := range tree(t) {
		if core[s.dir()] != nil && !s.test {
			for _, found := range impurities(s) {
				t.Error(found)
			}
		}
	}
}

func TestTheCoreDoesNotDependOnTheNetwork(t *testing.T) {
	args := []string{"list", "-deps"}
	for dir := range core {
		args = append(args, "./"+dir)
	}
	for _, platform := range []string{"linux/amd64", "windows/arm64"} {
		goos, goarch, _ := strings.Cut(platform, "/")
		list := exec.Command("go", args...)
		list.Dir = root
		list.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch)
		var problems bytes.Buffer
		list.Stderr = &problems
		output, err := list.Output()
		if err != nil {
			t.Fatal(err, problems.String())
		}
		for _, dependency := range strings.Fields(string(output)) {
			if slices.Contains(undependable, dependency) {
				t.Errorf("on %s the core depends on %s", platform, dependency)
			}
		}
	}
}

func TestWhatTheCoreMustNotHaveIsFound(t *testing.T) {
	bad := written(t, "engine/decoder.go", `package engine

import (
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

var pool sync.Pool

var lock sync.Mutex

func (Bare) Method() { go time.Sleep(1) }

var Value = time.After(1)
`)
	if got := impurities(bad); len(got) != 6 {
		t.Errorf("got %q", got)
	}
}
