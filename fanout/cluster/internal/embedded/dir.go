package embedded

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A dir is the directory of a server.
type dir string

func (d dir) file(name string) string { return filepath.Join(string(d), name) }

// Names of the files in it.
const (
	lockName  = "lock"
	placeName = "server.json"
	tokenName = "token"
	nameName  = "name"
)

// make makes the directory. nats-server would make its own readable for a group.
func (d dir) make() error {
	return os.MkdirAll(d.file("jetstream"), 0o700)
}

// lock tries to get the lock.
func (d dir) lock() (f *os.File, locked bool, err error) { return lockFile(d.file(lockName)) }

// A place is where the server of a directory can be reached.
type place struct {
	Mode    mode   `json:"mode"`
	Address string `json:"address,omitempty"` // host and port; "": nowhere
	Process int    `json:"process"`
}

// place returns that of the server that runs in the directory, or has run.
func (d dir) place() (p place, err error) {
	text, err := os.ReadFile(d.file(placeName))
	if err != nil {
		return place{}, err
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return place{}, fmt.Errorf("%s: %w", d.file(placeName), err)
	}
	return p, nil
}

func (d dir) setPlace(p place) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return d.write(placeName, text)
}

func (d dir) removePlace() { _ = os.Remove(d.file(placeName)) }

// token returns what clients of the server show.
func (d dir) token() (string, error) { return d.read(tokenName) }

func (d dir) read(name string) (string, error) {
	text, err := os.ReadFile(d.file(name))
	return strings.TrimSpace(string(text)), err
}

// write writes a file that only the owner can read, whole or not at all.
func (d dir) write(name string, text []byte) error {
	f, err := os.CreateTemp(string(d), name+".*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), d.file(name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// readOrMake returns the text of a file, which is a random one after prefix if there is none yet. The
// lock must be held.
func (d dir) readOrMake(name, prefix string) (string, error) {
	text, err := d.read(name)
	if err == nil && text != "" {
		return text, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	text = prefix + rand.Text()
	return text, d.write(name, []byte(text+"\n"))
}
