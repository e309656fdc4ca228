package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	someFiles = []file{{"websock", []byte("program"), true}, {"LICENSE", []byte("MIT"), false}, {"completions/_websock", []byte("zsh"), false}}
	someTime  = time.Date(2026, 11, 27, 5, 44, 12, 0, time.UTC)
)

// entries of an archive of someFiles.
var someEntries = []string{
	"d/LICENSE -rw-r--r-- 2026-11-27T05:44:12Z MIT",
	"d/completions/_websock -rw-r--r-- 2026-11-27T05:44:12Z zsh",
	"d/websock -rwxr-xr-x 2026-11-27T05:44:12Z program",
}

func entry(name string, info os.FileInfo, content io.Reader) string {
	text, err := io.ReadAll(content)
	return fmt.Sprint(name, " ", info.Mode(), " ", info.ModTime().UTC().Format(time.RFC3339), " ", string(text), orEmpty(err))
}

func orEmpty(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestArchivesHaveTheFilesInOrderAndNothingOfTheMachine(t *testing.T) {
	for name, test := range map[string]struct {
		write func(io.Writer, string, []file, time.Time) error
		read  func(t *testing.T, archive []byte) []string
	}{
		"tar": {writeTarGz, readTarGz},
		"zip": {writeZip, readZip},
	} {
		t.Run(name, func(t *testing.T) {
			var first, second bytes.Buffer
			if err := test.write(&first, "d", someFiles, someTime); err != nil {
				t.Fatal(err)
			}
			reversed := slices.Clone(someFiles)
			slices.Reverse(reversed)
			if err := test.write(&second, "d", reversed, someTime.In(time.FixedZone("", 3600))); err != nil {
				t.Fatal(err)
			}
			if got := test.read(t, first.Bytes()); !slices.Equal(got, someEntries) {
				t.Errorf("%q, want %q", got, someEntries)
			}
			if !bytes.Equal(first.Bytes(), second.Bytes()) {
				t.Error("the order of the files or the time zone matters")
			}
		})
	}
}

func readTarGz(t *testing.T, archive []byte) (entries []string) {
	decompressor, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	if !decompressor.ModTime.IsZero() || decompressor.Name != "" {
		t.Errorf("the compressed file says %v %q", decompressor.ModTime, decompressor.Name)
	}
	for r := tar.NewReader(decompressor); ; {
		h, err := r.Next()
		if err == io.EOF {
			return entries
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" {
			t.Errorf("%s belongs to %d %s, %d %s", h.Name, h.Uid, h.Uname, h.Gid, h.Gname)
		}
		entries = append(entries, entry(h.Name, h.FileInfo(), r))
	}
}

func readZip(t *testing.T, archive []byte) (entries []string) {
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.File {
		content, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry(f.Name, f.FileInfo(), content))
	}
	return entries
}

func TestSumsAreThoseOfAllFilesInOrder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b", "a"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeSums(dir); err != nil {
		t.Fatal(err)
	}
	const want = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb  a\n" +
		"3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d  b\n"
	if got, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS")); err != nil || string(got) != want {
		t.Errorf("%s %v", got, err)
	}
}

func TestAnSBOMDependsOnTheProgramAlone(t *testing.T) {
	const raw = `{"metadata": {"tools": [{"name": "cyclonedx-gomod", "hashes": [{"alg": "MD5", "content": "of this machine"}]}]},
		"components": [{"version": "(devel)", "purl": "pkg:golang/websock@(devel)"}]}`
	got, err := reproducible([]byte(raw), "v1.2.3")
	if err != nil || strings.Contains(string(got), "hashes") || strings.Contains(string(got), "devel") {
		t.Errorf("%s %v", got, err)
	}
	for _, want := range []string{`"name": "cyclonedx-gomod"`, `"version": "v1.2.3"`, `"purl": "pkg:golang/websock@v1.2.3"`} {
		if !strings.Contains(string(got), want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
}

func TestEveryModuleHasALicence(t *testing.T) {
	dir := t.TempDir()
	var all bytes.Buffer
	if err := appendLicences(&all, "example.com/m", dir); err == nil {
		t.Error("a module without a licence is no error")
	}
	for name, text := range map[string]string{"LICENSE.md": "permission", "NOTICE": "thanks", "README.md": "license"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const want = "==== example.com/m: LICENSE.md\n\npermission\n\n==== example.com/m: NOTICE\n\nthanks\n\n"
	if err := appendLicences(&all, "example.com/m", dir); err != nil || all.String() != want {
		t.Errorf("%q %v", all.String(), err)
	}
}

func TestACommandLineThatMakesNoReleaseIsRefused(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "0")
	existing := t.TempDir()
	for _, test := range []struct {
		d         dist
		platforms []string
	}{
		{dist{version: "1.0.0", cyclonedx: "x", out: "unused"}, []string{"linux/amd64"}},
		{dist{version: "v1.0.0", out: "unused"}, []string{"linux/amd64"}},
		{dist{version: "v1.0.0", cyclonedx: "x", out: "unused"}, nil},
		{dist{version: "v1.0.0", cyclonedx: "x", out: existing}, []string{"linux/amd64"}},
	} {
		if err := test.d.run(test.platforms); err == nil {
			t.Errorf("%+v %q is no error", test.d, test.platforms)
		}
	}
	t.Setenv("SOURCE_DATE_EPOCH", "")
	d := dist{version: "v1.0.0", cyclonedx: "x", out: "unused"}
	if err := d.run([]string{"linux/amd64"}); err == nil || !strings.Contains(err.Error(), "SOURCE_DATE_EPOCH") {
		t.Errorf("without a time: %v", err)
	}
}
