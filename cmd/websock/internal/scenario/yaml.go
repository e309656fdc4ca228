package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// An Error says what is wrong with a scenario, and where. Parse returns no others.
type Error struct {
	File   string
	Line   int // from 1; 0: it is about the whole file
	Column int // from 1
	Err    error
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s:%d:%d: %v", e.File, e.Line, e.Column, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// A reader reads the values in a YAML file. It knows where they are, so that its errors say so.
type reader struct {
	file    string
	anchors map[string]ast.Node
	sources Sources
}

// A keyReader has for every key that a mapping may have what reads its value.
type keyReader map[string]func(ast.Node) error

// byteOrderMark is what editors of Windows may put before the text of a file.
const byteOrderMark = "\ufeff"

// maxFile bounds the YAML file, in bytes.
const maxFile = 1 << 20

// document returns the only document in the file.
func (r *reader) document(text []byte) (ast.Node, error) {
	if len(text) > maxFile {
		return nil, r.fail(nil, "a scenario has at most %d bytes", maxFile)
	}
	file, err := parser.ParseBytes(bytes.TrimPrefix(text, []byte(byteOrderMark)), 0)
	if err != nil {
		return nil, r.syntaxError(err)
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			bodies = append(bodies, doc.Body)
		}
	}
	switch len(bodies) {
	case 0:
		return nil, r.fail(nil, "the file is empty")
	case 1:
		return bodies[0], nil
	}
	return nil, r.fail(bodies[1], "a second document begins here; a scenario is one")
}

// syntaxError returns an error of the parser as an Error.
func (r *reader) syntaxError(err error) error {
	var positioned interface {
		GetToken() *token.Token
		GetMessage() string
	}
	if errors.As(err, &positioned) {
		message := positioned.GetMessage()
		if strings.Contains(message, "flow map") { // {{.Sequence}} without quotes, mostly
			message += ", and a text that begins with { is in single quotes"
		}
		return r.failAt(positioned.GetToken(), errors.New(message))
	}
	return r.failAt(nil, err)
}

// fail returns an Error about a node, or about the whole file if that is nil.
func (r *reader) fail(n ast.Node, format string, args ...any) error {
	return r.wrap(n, fmt.Errorf(format, args...))
}

// wrap is fail with an error.
func (r *reader) wrap(n ast.Node, err error) error {
	if n == nil {
		return r.failAt(nil, err)
	}
	return r.failAt(n.GetToken(), err)
}

func (r *reader) failAt(t *token.Token, err error) error {
	e := &Error{File: r.file, Err: err}
	if t != nil && t.Position != nil {
		e.Line, e.Column = t.Position.Line, t.Position.Column
	}
	return e
}

// resolve returns the value of a node: what an alias stands for, and what a tag or an anchor is put
// before. An alias without an anchor before it stands for itself.
func (r *reader) resolve(n ast.Node) ast.Node {
	switch v := n.(type) {
	case *ast.AnchorNode:
		value := r.resolve(v.Value)
		r.anchors[v.Name.GetToken().Value] = value
		return value
	case *ast.TagNode:
		return r.resolve(v.Value)
	case *ast.AliasNode:
		if value := r.anchors[v.Value.GetToken().Value]; value != nil {
			return value
		}
	}
	return n
}

// mapping reads the keys of a mapping. what is the name of the place in the file.
func (r *reader) mapping(n ast.Node, what string, keys keyReader) error {
	return r.pairs(n, what, func(key, value ast.Node, name string) error {
		read := keys[name]
		if read == nil {
			return r.fail(key, "%s has no key %q; it may have: %s", what, name, names(keys))
		}
		return read(value)
	})
}

// pairs calls f with each key and value of a mapping.
func (r *reader) pairs(n ast.Node, what string, f func(key, value ast.Node, name string) error) error {
	m, ok := r.resolve(n).(ast.MapNode)
	if !ok {
		return r.fail(n, "%s is a mapping: lines of the form \"key: value\"", what)
	}
	for iter := m.MapRange(); iter.Next(); {
		key := iter.Key()
		if err := f(key, iter.Value(), key.GetToken().Value); err != nil {
			return err
		}
	}
	return nil
}

func names(keys keyReader) string { return strings.Join(slices.Sorted(maps.Keys(keys)), ", ") }

// list calls f with each entry of a list.
func (r *reader) list(n ast.Node, what string, f func(ast.Node) error) error {
	entries, ok := r.resolve(n).(*ast.SequenceNode)
	if !ok {
		return r.fail(n, "%s is a list: [one, another], or lines that begin with \"- \"", what)
	}
	for _, entry := range entries.Values {
		if err := f(entry); err != nil {
			return err
		}
	}
	return nil
}

// text reads a text. Numbers and the like are taken as they are written.
func (r *reader) text(n ast.Node, what string) (string, error) {
	switch v := r.resolve(n).(type) {
	case *ast.StringNode:
		return v.Value, nil
	case *ast.LiteralNode:
		return v.Value.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return v.GetToken().Value, nil
	case nil, *ast.NullNode:
		return "", r.fail(n, "%s has no value", what)
	case *ast.AliasNode:
		return "", r.fail(n, "there is no anchor %s before", v.Value.GetToken().Value)
	}
	return "", r.fail(n, "%s is a text, not a list or a mapping: one that begins with { or [ is in single quotes", what)
}

// duration reads a time of at least least.
func (r *reader) duration(n ast.Node, what string, least time.Duration) (time.Duration, error) {
	text, err := r.text(n, what)
	if err != nil {
		return 0, err
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, r.fail(n, "%s is a time such as 500ms, 5s or 1m30s, not %q", what, text)
	case d < least || d > maxDuration:
		return 0, r.fail(n, "%s is %v to %v, not %v", what, least, maxDuration, d)
	}
	return d, nil
}

// maxDuration bounds every time in a scenario, so that sums don't overflow.
const maxDuration = 1000 * time.Hour

// integer reads a number from least to most.
func (r *reader) integer(n ast.Node, what string, least, most int) (int, error) {
	text, err := r.text(n, what)
	if err != nil {
		return 0, err
	}
	i, err := strconv.Atoi(strings.ReplaceAll(text, "_", ""))
	if err != nil || i < least || i > most {
		return 0, r.fail(n, "%s is a whole number from %d to %d, not %q", what, least, most, text)
	}
	return i, nil
}

// period reads the time from one message to the next.
func (r *reader) period(n ast.Node, what string) (time.Duration, error) {
	return r.duration(n, what, time.Microsecond)
}

// rate reads how often something happens in a second, and returns the time from one to the next.
func (r *reader) rate(n ast.Node, what string) (time.Duration, error) {
	text, err := r.text(n, what)
	if err != nil {
		return 0, err
	}
	f, err := strconv.ParseFloat(text, 64)
	if least := float64(time.Second) / float64(maxDuration); err != nil || !(f >= least && f <= 1e6) { // also refuses NaN
		return 0, r.fail(n, "%s is a number a second, at most 1000000, not %q", what, text)
	}
	return time.Duration(float64(time.Second) / f), nil
}

// setText returns what reads a text into p.
func (r *reader) setText(what string, p *string) func(ast.Node) error {
	return func(n ast.Node) (err error) {
		*p, err = r.text(n, what)
		return err
	}
}

// setDuration returns what reads a time of at least least into p.
func (r *reader) setDuration(what string, p *time.Duration, least time.Duration) func(ast.Node) error {
	return func(n ast.Node) (err error) {
		*p, err = r.duration(n, what, least)
		return err
	}
}
