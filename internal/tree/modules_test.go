package tree

import (
	"encoding/json"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A modFile is what go.mod and go.work have in common, as `go mod edit -json` prints it.
type modFile struct {
	Module  struct{ Path string }
	Require []struct{ Path, Version string }
	Use     []struct{ DiskPath string }
	Replace []struct {
		Old struct{ Path, Version string }
		New struct{ Path string }
	}
}

func readModFile(t *testing.T, args ...string) (m modFile) {
	t.Helper()
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		t.Fatal(args, err)
	}
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// required returns the version of a module that m requires, or "".
func (m *modFile) required(path string) string {
	for _, r := range m.Require {
		if r.Path == path {
			return r.Version
		}
	}
	return ""
}

// moduleDirs returns the directories below the root that have a go.mod, as go.work writes them.
func moduleDirs(t *testing.T) []string {
	var dirs []string
	for _, pattern := range []string{"go.mod", "*/go.mod", "*/*/go.mod", "*/*/*/go.mod"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			dir, _ := filepath.Rel(root, filepath.Dir(file))
			if dir != "." {
				dir = "./" + filepath.ToSlash(dir)
			}
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	return dirs
}

// A replace in a go.mod would keep `go install` from the module, and its users would not get
// it anyway. go.work alone says that modules which others require are those in this tree.
func TestModulesRequireOneVersionOfTheRootAndReplaceNothing(t *testing.T) {
	work := readModFile(t, "work", "edit", "-json", filepath.Join(root, "go.work"))
	if len(work.Replace) == 0 || work.Replace[0].Old.Path != module {
		t.Fatalf("go.work should replace the root module first: %v", work.Replace)
	}
	for _, r := range work.Replace {
		if inTree := "." + strings.TrimPrefix(r.Old.Path, module); path.Clean(r.New.Path) != path.Clean(inTree) {
			t.Errorf("go.work replaces %s by %s", r.Old.Path, r.New.Path)
		}
	}
	version := work.Replace[0].Old.Version
	var used []string
	for _, use := range work.Use {
		used = append(used, use.DiskPath)
	}
	slices.Sort(used)
	dirs := moduleDirs(t)
	if !slices.Equal(used, dirs) {
		t.Errorf("go.work uses %q; the modules of the tree are %q", used, dirs)
	}
	for _, dir := range dirs {
		m := readModFile(t, "mod", "edit", "-json", filepath.Join(root, dir, "go.mod"))
		if len(m.Replace) > 0 {
			t.Errorf("%s/go.mod has a replace: %v", dir, m.Replace)
		}
		if importsRoot := dir != "." && dir != "./internal/gen"; importsRoot && m.required(module) != version {
			t.Errorf("%s/go.mod requires the root module at %q, go.work has %s", dir, m.required(module), version)
		}
		if _, err := os.Stat(filepath.Join(root, dir, "go.sum")); err != nil {
			t.Error(err)
		}
	}
}
