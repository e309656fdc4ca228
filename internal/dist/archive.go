package main

import (
	"archive/tar"
	"archive/zip"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A file is in an archive.
type file struct {
	name       string // with slashes
	content    []byte
	executable bool
}

func (f file) mode() int64 {
	if f.executable {
		return 0o755
	}
	return 0o644
}

func inOrder(files []file) []file {
	return slices.SortedFunc(slices.Values(files), func(a, b file) int { return cmp.Compare(a.name, b.name) })
}

// writeTarGz writes a compressed tar archive with the files below a directory. They belong to root.
func writeTarGz(w io.Writer, dir string, files []file, modTime time.Time) error {
	compressor, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(compressor)
	for _, f := range inOrder(files) {
		header := &tar.Header{
			Format: tar.FormatUSTAR, Name: dir + "/" + f.name, Size: int64(len(f.content)), Mode: f.mode(), ModTime: modTime,
		}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(f.content); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return compressor.Close()
}

// writeZip writes a zip archive with the files below a directory.
func writeZip(w io.Writer, dir string, files []file, modTime time.Time) error {
	archive := zip.NewWriter(w)
	for _, f := range inOrder(files) {
		header := &zip.FileHeader{Name: dir + "/" + f.name, Method: zip.Deflate, Modified: modTime.UTC()}
		header.SetMode(os.FileMode(f.mode()))
		entry, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := entry.Write(f.content); err != nil {
			return err
		}
	}
	return archive.Close()
}

// writeFile creates a file that write fills.
func writeFile(path string, write func(*os.File) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := write(f); err != nil {
		return err
	}
	return f.Close()
}

// writeSums writes the checksums of all files of a directory, in the form that sha256sum reads, to a
// file there.
func writeSums(dir string) error {
	entries, err := os.ReadDir(dir) // in order
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), e.Name())
	}
	return os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(sums.String()), 0o644)
}
