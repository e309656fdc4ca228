package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// licences returns the licences of the modules that are built into the program for a platform, and
// that of Go. Most of them demand that they come with it.
func (d *dist) licences(system, arch string) ([]byte, error) {
	const format = "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Dir}}{{end}}{{end}}"
	list, err := d.goCommand(system, arch, "list", "-deps", "-f", format, program)
	if err != nil {
		return nil, err
	}
	root, err := d.goCommand(system, arch, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	modules := slices.Collect(strings.Lines(string(list) + "Go\t" + string(root)))
	slices.Sort(modules)
	var all bytes.Buffer
	for _, m := range slices.Compact(modules) {
		path, dir, _ := strings.Cut(strings.TrimSpace(m), "\t")
		if path == "" {
			continue
		}
		if err := appendLicences(&all, path, dir); err != nil {
			return nil, err
		}
	}
	return all.Bytes(), nil
}

// appendLicences appends the licences that are in the directory of a module.
func appendLicences(all *bytes.Buffer, module, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	found := false
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		if e.IsDir() || !slices.ContainsFunc([]string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "PATENTS"}, func(kind string) bool {
			return strings.HasPrefix(name, kind)
		}) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(all, "==== %s: %s\n\n%s\n\n", module, e.Name(), bytes.TrimSpace(text))
		found = true
	}
	if !found {
		return fmt.Errorf("%s has no licence in %s", module, dir)
	}
	return nil
}

// sbom returns what the program was built from, as CycloneDX.
func (d *dist) sbom(binary string) ([]byte, error) {
	raw, err := output(exec.Command(d.cyclonedx, "bin", "-json", "-noserial", "-notimestamp", "-std", "-version", d.version, binary))
	if err != nil {
		return nil, err
	}
	return reproducible(raw, d.version)
}

// reproducible returns an SBOM that is the same on every machine: without the hashes of the program that
// made it, and with the version of the release for the modules of this tree, which Go calls (devel).
func reproducible(sbom []byte, version string) ([]byte, error) {
	var document map[string]any
	if err := json.Unmarshal(bytes.ReplaceAll(sbom, []byte("(devel)"), []byte(version)), &document); err != nil {
		return nil, err
	}
	metadata, _ := document["metadata"].(map[string]any)
	tools, _ := metadata["tools"].([]any)
	for _, t := range tools {
		if tool, ok := t.(map[string]any); ok {
			delete(tool, "hashes")
		}
	}
	return json.MarshalIndent(document, "", "  ")
}
