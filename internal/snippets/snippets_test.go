package snippets

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const module = "github.com/seed004e8d11/websock"

var imports = Imports{
	"atomic":        "sync/atomic",
	"bufio":         "bufio",
	"bytes":         "bytes",
	"context":       "context",
	"debug":         "runtime/debug",
	"engine":        module + "/engine",
	"epoll":         module + "/transport/epoll",
	"errors":        "errors",
	"fanout":        module + "/fanout",
	"fmt":           "fmt",
	"h2":            module + "/transport/h2",
	"http":          "net/http",
	"io":            "io",
	"json":          "encoding/json",
	"log":           "log",
	"maps":          "maps",
	"net":           "net",
	"netpoll":       module + "/transport/netpoll",
	"os":            "os",
	"pprof":         "runtime/pprof",
	"runtime":       "runtime",
	"signal":        "os/signal",
	"slices":        "slices",
	"slog":          "log/slog",
	"std":           module + "/transport/std",
	"sync":          "sync",
	"testing":       "testing",
	"syscall":       "syscall",
	"time":          "time",
	"tls":           "crypto/tls",
	"transport":     module + "/transport",
	"transporttest": module + "/transport/transporttest",
	"unix":          "golang.org/x/sys/unix",
	"url":           "net/url",
	"websock":       module,
	"x509":          "crypto/x509",
}

func TestDocumentationCompiles(t *testing.T) {
	const root = "../.."
	files, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var all []Snippet
	for _, file := range append(files, root+"/README.md", root+"/CONTRIBUTING.md", root+"/SECURITY.md") {
		switch filepath.Base(file) {
		case "migration.md", "cluster.md", "http3.md":
			continue // they need other modules: tests of bench, fanout/cluster and transport/h3 compile them
		}
		of, err := Of(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, of...)
	}
	if len(all) == 0 {
		t.Fatal("no code found")
	}
	if err := Check(root, imports, all); err != nil {
		t.Error(err)
	}
}

// A comment with the path of a file, before a block, says that the block is a part of that file.
func TestTheCodeInDocumentationThatIsOfAFileIsInThatFile(t *testing.T) {
	const root = "../.."
	blocks := regexp.MustCompile("(?s)<!-- ([a-z_/]+\\.go) -->\n```go\n(.*?)```\n")
	docs, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, doc := range docs {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range blocks.FindAllStringSubmatch(string(text), -1) {
			found++
			code, err := os.ReadFile(filepath.Join(root, block[1]))
			if err != nil {
				t.Error(err)
			} else if !strings.Contains(string(code), block[2]) {
				t.Errorf("%s shows code of %s that isn't there", doc, block[1])
			}
		}
	}
	if found == 0 {
		t.Error("no such block was found")
	}
}

func TestCheck(t *testing.T) {
	tests := map[string]string{
		"":                                      "",
		"var unused int":                        "",
		"x := 1":                                "",
		"fmt.Println(time.Now(), ctx)":          "",
		"package main\n\nfunc main() { f() }":   "undefined: f",
		"func f() { undefined() }":              "undefined: undefined",
		"var x int = \"text\"":                  "cannot use",
		"conn.Close()":                          "undefined: conn",
		"websock.NewConn(nil)":                  "not enough arguments",
		"if {":                                  "missing condition",
		"engine := 1\n_ = engine":               "",
		"err := websock.ErrTimeout\nreturn err": "",
	}
	for code, want := range tests {
		err := Check(".", imports, []Snippet{{File: "doc.md", Line: 7, Code: code}})
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", code, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "doc.md:7: ")):
			t.Errorf("%q: %v, want %q", code, err, want)
		}
	}
}
