package connect

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// A terminal lets a person edit lines at the bottom while messages are written above.
type terminal struct {
	*term.Terminal
	in, out *os.File
	screen  int         // descriptor of out
	saved   *term.State // before raw mode
	history *history    // nil: the Terminal's own
	keys    keyReader
	ended   bool // a key has ended the lines
}

// errInterrupted ends the lines after Control-C, which sends no signal in raw mode.
var errInterrupted = errors.New("interrupted")

// A keyReader reads what is typed and counts the Control-Cs of the last read.
type keyReader struct {
	io.Reader
	interrupts int
}

func (k *keyReader) Read(p []byte) (int, error) {
	n, err := k.Reader.Read(p)
	k.interrupts = bytes.Count(p[:n], []byte{3})
	return n, err
}

// interrupt reads until the next Control-C.
func (k *keyReader) interrupt() error {
	var buf [64]byte
	for k.interrupts == 0 {
		if _, err := k.Read(buf[:]); err != nil {
			return err
		}
	}
	k.interrupts--
	return errInterrupted
}

// openTerminal puts the terminal into raw mode until restore. historyFile may be "".
func openTerminal(streams console.Streams, historyFile string) (*terminal, error) {
	t := &terminal{in: streams.In.(*os.File), out: streams.Out.(*os.File)}
	t.screen = int(t.out.Fd())
	t.keys.Reader = t.in
	t.Terminal = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{&t.keys, t.out}, "> ")
	if historyFile != "" {
		var err error
		if t.history, err = openHistory(historyFile); err != nil {
			return nil, err
		}
		t.Terminal.History = t.history
	}
	var err error
	if t.saved, err = term.MakeRaw(int(t.in.Fd())); err != nil {
		return nil, fmt.Errorf("cannot put the terminal into raw mode: %w", err)
	}
	t.SetBracketedPasteMode(true)
	return t, nil
}

// readLine edits a line. Control-C and Control-D end the lines; then it only waits for the next Control-C.
// The Terminal keeps the key that has ended them, and would return it again and again.
func (t *terminal) readLine() ([]byte, error) {
	if t.ended {
		return nil, t.keys.interrupt()
	}
	if width, height, err := term.GetSize(t.screen); err == nil && width > 0 {
		t.SetSize(width, height)
	}
	line, err := t.ReadLine()
	switch {
	case errors.Is(err, term.ErrPasteIndicator):
		err = nil
	case errors.Is(err, io.EOF):
		t.ended = true
		if t.keys.interrupts > 0 {
			err = t.keys.interrupt()
		}
	}
	return []byte(line), err
}

// restore erases the prompt and leaves raw mode.
func (t *terminal) restore() {
	t.SetBracketedPasteMode(false)
	io.WriteString(t.out, "\r\x1b[K")
	term.Restore(int(t.in.Fd()), t.saved)
	if t.history != nil {
		t.history.close()
	}
}

// A history is a term.History that is kept in a file.
type history struct {
	file  *os.File
	lines []string // the newest last
}

// maxHistory is how many lines of the file are kept in memory.
const maxHistory = 1000

// openHistory creates the file, readable only by its owner, if it doesn't exist.
func openHistory(name string) (*history, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	h := &history{file: file}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		h.lines = append(h.lines, lines.Text())
		h.lines = h.lines[max(len(h.lines)-maxHistory, 0):]
	}
	if err := lines.Err(); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s is not a history: %w", name, err)
	}
	return h, nil
}

// Add ignores empty lines and repetitions.
func (h *history) Add(line string) {
	if line == "" || len(h.lines) > 0 && line == h.At(0) {
		return
	}
	h.lines = append(h.lines, line)
	fmt.Fprintln(h.file, line) // without the file, the history lasts as long as the session
}

func (h *history) Len() int { return len(h.lines) }

func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }

func (h *history) close() { h.file.Close() }
