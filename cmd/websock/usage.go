package main

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// A command line that can't be understood.
var (
	errUsage     = errors.New("the command line is invalid, as the user has been told")
	errNoCommand = errors.New("the command line names no command")
)

// usageError prints what is wrong with the command line, or with what a file has in its place. All the flags of the command are not printed
// with it: it would be lost above them.
func (s stdio) usageError(format string, args ...any) error {
	fmt.Fprintf(s.Err, "websock: %s\n", console.Printable(fmt.Appendf(nil, format, args...)))
	return errUsage
}

// selected returns the command below c that the command line names, or c, and the words of its name.
func selected(c *ffcli.Command) (_ *ffcli.Command, name string) {
	for _, below := range c.Subcommands {
		if below.FlagSet.Parsed() {
			named, words := selected(below)
			return named, c.Name + " " + words
		}
	}
	return c, c.Name
}

// parseError is what the flag package says of any value that has not the form of its flag.
const parseError = ": parse error"

// flagError says what is wrong with the flags of c, and which form the value of one has.
func flagError(c *ffcli.Command, err error) string {
	if inner := errors.Unwrap(err); inner != nil {
		err = inner // without the context that the ffcli package adds
	}
	text, isForm := strings.CutSuffix(err.Error(), parseError)
	if !isForm {
		return text
	}
	f := c.FlagSet.Lookup(text[strings.LastIndex(text, " -")+len(" -"):])
	if f == nil {
		return text
	}
	form := "it is no such value"
	if getter, ok := f.Value.(flag.Getter); ok {
		switch getter.Get().(type) {
		case time.Duration:
			form = "it is a time such as 500ms, 5s or 1m30s"
		case int:
			form = "it is a whole number"
		case float64:
			form = "it is a number"
		case bool:
			form = "it is true or false"
		}
	}
	return text + ": " + form
}
