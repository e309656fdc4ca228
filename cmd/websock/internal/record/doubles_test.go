package record

import (
	"bytes"
	"io/fs"
)

// A countingFile counts the writes, and one of them fails.
type countingFile struct {
	bytes.Buffer
	writes, failAt int
}

func (f *countingFile) Write(p []byte) (int, error) {
	if f.writes++; f.writes == f.failAt {
		return 0, fs.ErrInvalid
	}
	return f.Buffer.Write(p)
}

func (f *countingFile) Close() error { return nil }
