package scenario

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
	"time"

	"github.com/seed004e8d11/websock"
)

// values are what a template may use.
type values struct {
	Connection int               // number of the connection, from 0
	Sequence   int64             // number of the message on its connection, from 1; 0 in the opening handshake
	Time       time.Time         // of rendering
	Data       map[string]string // the row of the connection
}

// A content is text or bytes that may differ each time: a path, a header or a message.
type content struct {
	binary bool
	decode func([]byte) ([]byte, error) // nil: the rendered text is what is meant

	// One of these three: what never changes, parts that are appended without the template, or the
	// template itself.
	fixed    []byte
	parts    []part
	template *template.Template
}

// A part appends a piece of a content.
type part func(dst []byte, v *values) []byte

// newContent parses a template. decode is nil, or returns what the rendered text stands for.
func newContent(text string, decode func([]byte) ([]byte, error), functions template.FuncMap) (*content, error) {
	t, err := template.New("template").Option("missingkey=error").Funcs(functions).Parse(text)
	if err != nil {
		return nil, tidy(err)
	}
	c := &content{binary: decode != nil, decode: decode, template: t}
	if t.Tree == nil { // of an empty text
		c.template, c.fixed = nil, []byte{}
		return c, nil
	}
	if parts, ok := partsOf(t.Root); ok {
		c.template, c.parts = nil, parts
	}
	if isText(t.Root) {
		c.fixed, err = c.append(nil, &values{})
	}
	return c, err
}

// fixedContent returns the content of a file that is sent as it is.
func fixedContent(b []byte, binary bool) *content { return &content{binary: binary, fixed: b} }

// tidy returns an error of text/template without the name of the template.
func tidy(err error) error {
	return errors.New(strings.NewReplacer("template: template:", "in the template, line ", "executing \"template\" at ", "").Replace(err.Error()))
}

func isText(list *parse.ListNode) bool {
	for _, n := range list.Nodes {
		if n.Type() != parse.NodeText {
			return false
		}
	}
	return true
}

// simple are the actions that need no template, since they are in most messages and templates allocate.
var simple = map[string]part{
	".Connection":     func(dst []byte, v *values) []byte { return strconv.AppendInt(dst, int64(v.Connection), 10) },
	".Sequence":       func(dst []byte, v *values) []byte { return strconv.AppendInt(dst, v.Sequence, 10) },
	".Time.Unix":      func(dst []byte, v *values) []byte { return strconv.AppendInt(dst, v.Time.Unix(), 10) },
	".Time.UnixMilli": func(dst []byte, v *values) []byte { return strconv.AppendInt(dst, v.Time.UnixMilli(), 10) },
	".Time.UnixMicro": func(dst []byte, v *values) []byte { return strconv.AppendInt(dst, v.Time.UnixMicro(), 10) },
	".Time.UnixNano":  func(dst []byte, v *values) []byte { return strconv.AppendInt(dst, v.Time.UnixNano(), 10) },
}

// partsOf returns what a template consists of, if all of it is text or simple.
func partsOf(list *parse.ListNode) (parts []part, ok bool) {
	for _, n := range list.Nodes {
		switch n := n.(type) {
		case *parse.TextNode:
			parts = append(parts, func(dst []byte, _ *values) []byte { return append(dst, n.Text...) })
		case *parse.ActionNode:
			p := partOf(n.Pipe)
			if p == nil {
				return nil, false
			}
			parts = append(parts, p)
		default:
			return nil, false
		}
	}
	return parts, true
}

// partOf returns what does the same as an action of a template, or nil if that isn't simple.
func partOf(pipe *parse.PipeNode) part {
	if p := simple[pipe.String()]; p != nil {
		return p
	}
	if len(pipe.Decl) > 0 || len(pipe.Cmds) != 1 || len(pipe.Cmds[0].Args) != 2 {
		return nil
	}
	function, _ := pipe.Cmds[0].Args[0].(*parse.IdentifierNode)
	n, _ := pipe.Cmds[0].Args[1].(*parse.NumberNode)
	if function == nil || function.Ident != "random" || n == nil || !n.IsInt || n.Int64 < 1 {
		return nil
	}
	return func(dst []byte, _ *values) []byte { return strconv.AppendInt(dst, rand.Int64N(n.Int64), 10) }
}

var errTooLarge = fmt.Errorf("the message is larger than %d bytes", websock.DefaultMessageSize)

// append appends the content with these values to dst.
func (c *content) append(dst []byte, v *values) ([]byte, error) {
	if c.fixed != nil {
		return append(dst, c.fixed...), nil
	}
	begin := len(dst)
	if c.template != nil {
		w := appender{dst, begin + websock.DefaultMessageSize}
		if err := c.template.Execute(&w, v); err != nil {
			return dst, tidy(err)
		}
		dst = w.b
	}
	for _, p := range c.parts {
		dst = p(dst, v)
	}
	if c.decode == nil {
		return dst, nil
	}
	decoded, err := c.decode(dst[begin:])
	return append(dst[:begin], decoded...), err
}

// An appender is a Writer of at most limit bytes.
type appender struct {
	b     []byte
	limit int
}

func (a *appender) Write(p []byte) (int, error) {
	if len(a.b)+len(p) > a.limit {
		return 0, errTooLarge
	}
	a.b = append(a.b, p...)
	return len(p), nil
}

// decodeHex returns what hexadecimal digits stand for. Spaces and line ends may be between them.
func decodeHex(text []byte) ([]byte, error) {
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		return nil, fmt.Errorf("not hexadecimal: %w", err)
	}
	return b, nil
}

// decodeBase64 returns what base64 stands for, with or without padding.
func decodeBase64(text []byte) ([]byte, error) {
	digits := strings.TrimRight(strings.Join(strings.Fields(string(text)), ""), "=")
	b, err := base64.RawStdEncoding.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("not base64: %w", err)
	}
	return b, nil
}

// templateFunctions returns the functions of templates, beside those that text/template has.
func templateFunctions(lookupEnv func(string) (string, bool)) template.FuncMap {
	return template.FuncMap{
		"random":     random,
		"mod":        mod,
		"randomText": randomText,
		"uuid":       uuid,
		"json":       toJSON,
		"base64":     func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"env": func(name string) (string, error) {
			value, ok := lookupEnv(name)
			if !ok {
				return "", fmt.Errorf("the environment has no %s", name)
			}
			return value, nil
		},
	}
}

// random returns a number from 0 to n-1.
func random(n int) (int, error) {
	if n < 1 {
		return 0, fmt.Errorf("random %d: the number is at least 1", n)
	}
	return rand.IntN(n), nil
}

// mod returns the remainder of a division, so that connections can share things: rooms, users.
func mod(n, by int) (int, error) {
	if by < 1 {
		return 0, fmt.Errorf("mod %d %d: the second number is at least 1", n, by)
	}
	return n % by, nil
}

// randomText returns n letters and digits.
func randomText(n int) (string, error) {
	const characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if n < 0 || n > websock.DefaultMessageSize {
		return "", fmt.Errorf("randomText %d: the number is 0 to %d", n, websock.DefaultMessageSize)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = characters[rand.IntN(len(characters))]
	}
	return string(b), nil
}

// uuid returns a random UUID (RFC 9562, version 4).
func uuid() string {
	high, low := rand.Uint64()&^0xf000|0x4000, rand.Uint64()&^(0b11<<62)|0b10<<62
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", high>>32, high>>16&0xffff, high&0xffff, low>>48, low&(1<<48-1))
}

// toJSON returns a value as JSON, so that any text can be put into it.
func toJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}
