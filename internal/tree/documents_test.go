package tree

import (
	"go/ast"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// suiteTests returns the names of the tests that all transports pass.
func suiteTests(s *source) (names []string) {
	if filepath.ToSlash(s.path) != "transport/transporttest/suite.go" {
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
	text, err := os.ReadFile(root + "/SECURITY.md")
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

func TestCIRunsTheCommandsThatTheREADMEHasReadersTry(t *testing.T) {
	readme, err := os.ReadFile(root + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	ci, err := os.ReadFile(root + "/.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`(?m)^(go (?:run|test) .*?) *#`).FindAllStringSubmatch(string(readme), -1)
	if len(commands) < 2 {
		t.Fatalf("only %d commands found", len(commands))
	}
	for _, c := range commands {
		if !strings.Contains(string(ci), c[1]) {
			t.Errorf("README.md has %q, which .ci/run doesn't", c[1])
		}
	}
}

func TestTheWorkflowRunsEveryJobOnce(t *testing.T) {
	workflow, err := os.ReadFile(root + "/.github/workflows/ci.yml")
	if err != nil {
		t.Fatal(err)
	}
	_, matrix, _ := strings.Cut(string(workflow), "jobs: # of .ci/run")
	var run []string
	for _, line := range regexp.MustCompile(`(?m)^ +- ([a-z0-9 ]+)$`).FindAllStringSubmatch(matrix, -1) {
		run = append(run, strings.Fields(line[1])...)
	}
	listed, err := exec.Command(root+"/.ci/run", "-list").Output()
	if err != nil {
		t.Fatal(err)
	}
	var jobs []string
	for line := range strings.Lines(string(listed)) {
		jobs = append(jobs, strings.Fields(line)[0])
	}
	slices.Sort(run)
	slices.Sort(jobs)
	if len(jobs) < 10 || !slices.Equal(run, jobs) {
		t.Errorf("the workflow runs %q, and the jobs are %q", run, jobs)
	}
}

// declared returns the functions that a file declares, methods as "Type.method".
func declared(s *source) map[string]bool {
	names := map[string]bool{}
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			name := f.Name.Name
			if f.Recv != nil {
				t := f.Recv.List[0].Type
				if star, ok := t.(*ast.StarExpr); ok {
					t = star.X
				}
				if ident, ok := t.(*ast.Ident); ok {
					name = ident.Name + "." + name
				}
			}
			names[name] = true
		}
	}
	return names
}

// A step of a walk is a row of a table: functions, and the file that declares them.
var step = regexp.MustCompile("(?m)^\\| \\d+ \\| ([^|]*) \\| `([^`|]*\\.go)` \\|")

func TestTheWalksInTheArchitectureAreThoseOfTheCode(t *testing.T) {
	functions := map[string]map[string]bool{}
	for _, s := range tree(t) {
		functions[filepath.ToSlash(s.path)] = declared(s)
	}
	text, err := os.ReadFile(root + "/docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	steps := step.FindAllStringSubmatch(string(text), -1)
	if len(steps) < 15 {
		t.Fatalf("only %d steps found", len(steps))
	}
	for _, s := range steps {
		for name := range strings.SplitSeq(s[1], ", ") {
			if name = strings.Trim(name, "`"); !functions[s[2]][name] {
				t.Errorf("docs/architecture.md has %s in %s, where it isn't", name, s[2])
			}
		}
	}
	for _, name := range regexp.MustCompile("`([a-z_/]+\\.go)`").FindAllStringSubmatch(string(text), -1) {
		if functions[name[1]] == nil {
			t.Errorf("docs/architecture.md names the file %s, which doesn't exist", name[1])
		}
	}
}

func TestTheFilesThatTheDocumentsNameExist(t *testing.T) {
	for _, doc := range []string{"README.md", "CONTRIBUTING.md"} {
		text, err := os.ReadFile(root + "/" + doc)
		if err != nil {
			t.Fatal(err)
		}
		paths := regexp.MustCompile("[(`]([A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)+\\.(?:go|md|svg))[)`]").FindAllStringSubmatch(string(text), -1)
		if len(paths) < 5 {
			t.Errorf("%s: only %d paths found", doc, len(paths))
		}
		for _, p := range paths {
			if _, err := os.Stat(root + "/" + p[1]); err != nil {
				t.Errorf("%s names %s, which doesn't exist", doc, p[1])
			}
		}
	}
}

// anchors returns the fragments with which links can name the headings of a document.
func anchors(text string) map[string]bool {
	names := map[string]bool{"": true}
	for _, h := range regexp.MustCompile("(?m)^#+ (.*)$").FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile("[^a-z0-9 _-]").ReplaceAllString(strings.ToLower(h[1]), "")
		names[strings.ReplaceAll(name, " ", "-")] = true
	}
	return names
}

func TestTheLinksOfTheDocumentsLeadSomewhere(t *testing.T) {
	docs, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, doc := range append(docs, root+"/README.md", root+"/CONTRIBUTING.md", root+"/SECURITY.md") {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range regexp.MustCompile(`\]\(([^():]+)\)`).FindAllStringSubmatch(string(text), -1) {
			found++
			path, fragment, _ := strings.Cut(link[1], "#")
			target := doc
			if path != "" {
				target = filepath.Join(filepath.Dir(doc), path)
			}
			if filepath.Ext(target) != ".md" {
				if _, err := os.Stat(target); err != nil {
					t.Errorf("%s: the link %s leads nowhere", doc, link[1])
				}
				continue
			}
			if to, err := os.ReadFile(target); err != nil || !anchors(string(to))[fragment] {
				t.Errorf("%s: the link %s leads nowhere", doc, link[1])
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d links found", found)
	}
}

func TestTheBookHasAllPages(t *testing.T) {
	contents, err := os.ReadFile(root + "/docs/README.md")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		name := filepath.Base(page)
		if name != "README.md" && !strings.Contains(string(contents), "]("+name+")") {
			t.Errorf("docs/README.md has no link to %s", name)
		}
	}
}
