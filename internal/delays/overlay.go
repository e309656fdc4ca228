package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

//go:embed runtime.go.txt
var runtimeSource string

// delayDeclaration makes the function delay of package runtime known to another package.
const delayDeclaration = `package %s

import _ "unsafe"

//go:linkname delay runtime.delay
func delay()
`

// An edit replaces text that occurs once in a source of the standard library.
type edit struct{ file, old, new string }

var edits = []edit{
	{"runtime/proc.go", "\tfn := main_main ", "\tdelayInit()\n\tfn := main_main "},
	{"runtime/proc.go", "\tsystemstack(func() {\n\t\tnewg := newproc1(fn, gp, pc, false, waitReasonZero)\n",
		"\tif ns := delayOf(getfp()); ns > 0 {\n\t\tnewprocAfter(ns, fn, gp, pc)\n\t\treturn\n\t}\n" +
			"\tsystemstack(func() {\n\t\tnewg := newproc1(fn, gp, pc, false, waitReasonZero)\n"},
	{"runtime/chan.go", "//go:nosplit\nfunc chansend1(c *hchan, elem unsafe.Pointer) {\n", "func chansend1(c *hchan, elem unsafe.Pointer) {\n\tdelay()\n\tdefer delay()\n"},
	{"runtime/chan.go", "//go:nosplit\nfunc chanrecv1(c *hchan, elem unsafe.Pointer) {\n", "func chanrecv1(c *hchan, elem unsafe.Pointer) {\n\tdefer delay()\n"},
	{"runtime/chan.go", "//go:nosplit\nfunc chanrecv2(c *hchan, elem unsafe.Pointer) (received bool) {\n", "func chanrecv2(c *hchan, elem unsafe.Pointer) (received bool) {\n\tdefer delay()\n"},
	{"runtime/chan.go", "func closechan(c *hchan) {\n", "func closechan(c *hchan) {\n\tdelay()\n\tdefer delay()\n"},
	{"runtime/select.go", "block bool) (int, bool) {\n", "block bool) (int, bool) {\n\tdefer delay()\n"},
	{"internal/sync/mutex.go", "func (m *Mutex) Lock() {\n", "func (m *Mutex) Lock() {\n\tdelay()\n"},
	{"internal/sync/mutex.go", "func (m *Mutex) Unlock() {\n", "func (m *Mutex) Unlock() {\n\tdefer delay()\n"},
	{"syscall/syscall_unix.go", "func Read(fd int, p []byte) (n int, err error) {\n", "func Read(fd int, p []byte) (n int, err error) {\n\tdelay()\n\tdefer delay()\n"},
	{"syscall/syscall_unix.go", "func Write(fd int, p []byte) (n int, err error) {\n", "func Write(fd int, p []byte) (n int, err error) {\n\tdelay()\n\tdefer delay()\n"},
}

// writeOverlay writes the changed sources of the standard library in src to dir, and the file for "go build
// -overlay" that says so. It returns the name of that file.
func writeOverlay(dir, src string) (string, error) {
	sources := map[string]string{
		"runtime/delay.go":       runtimeSource,
		"internal/sync/delay.go": fmt.Sprintf(delayDeclaration, "sync"),
		"syscall/delay.go":       fmt.Sprintf(delayDeclaration, "syscall"),
	}
	for _, e := range edits {
		if _, ok := sources[e.file]; !ok {
			b, err := os.ReadFile(filepath.Join(src, e.file))
			if err != nil {
				return "", err
			}
			sources[e.file] = string(b)
		}
		if n := strings.Count(sources[e.file], e.old); n != 1 {
			return "", fmt.Errorf("%s of this release of Go has %d times, not once: %q", e.file, n, e.old)
		}
		sources[e.file] = strings.Replace(sources[e.file], e.old, e.new, 1)
	}
	replace := map[string]string{}
	for file, source := range sources {
		name := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(name, []byte(source), 0o644); err != nil {
			return "", err
		}
		replace[filepath.Join(src, file)] = name
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "overlay.json")
	return name, os.WriteFile(name, overlay, 0o644)
}
