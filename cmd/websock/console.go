package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// A console is the terminal: lines are edited at its end while messages are written above.
type console struct {
	*term.Terminal
	in, out *os.File
	before  *term.State
	history *history // nil: that of the Terminal
	keys    keys
}

// errInterrupted is how lines end with Control-C, which is no signal while lines are edited.
var errInterrupted = errors.New("interrupted")

// keys is what is typed. It notes whether Control-C is in what was read last.
type keys struct {
	io.Reader
	interrupted bool
}

func (k *keys) Read(p []byte) (int, error) {
	const controlC = 3
	n, err := k.Reader.Read(p)
	k.interrupted = bytes.IndexByte(p[:n], controlC) >= 0
	return n, err
}

// openConsole takes the terminal over until leave. historyFile may be "".
func openConsole(s stdio, historyFile string) (*console, error) {
	c := &console{in: s.in.(*os.File), out: s.out.(*os.File)}
	c.keys.Reader = c.in
	c.Terminal = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{&c.keys, c.out}, "> ")
	if historyFile != "" {
		var err error
		if c.history, err = openHistory(historyFile); err != nil {
			return nil, err
		}
		c.Terminal.History = c.history
	}
	var err error
	if c.before, err = term.MakeRaw(int(c.in.Fd())); err != nil {
		return nil, fmt.Errorf("the terminal can't be taken over: %w", err)
	}
	c.SetBracketedPasteMode(true)
	return c, nil
}

// readLine lets a line be edited. Control-C and Control-D are the end of all lines.
func (c *console) readLine() ([]byte, error) {
	if width, height, err := term.GetSize(int(c.out.Fd())); err == nil && width > 0 {
		c.SetSize(width, height)
	}
	line, err := c.ReadLine()
	switch {
	case errors.Is(err, term.ErrPasteIndicator):
		err = nil
	case errors.Is(err, io.EOF) && c.keys.interrupted:
		err = errInterrupted
	}
	return []byte(line), err
}

// leave gives the terminal back, without a prompt in its last line.
func (c *console) leave() {
	c.SetBracketedPasteMode(false)
	io.WriteString(c.out, "\r\x1b[K")
	term.Restore(int(c.in.Fd()), c.before)
	if c.history != nil {
		c.history.close()
	}
}
