package scenario

import (
	"maps"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/seed004e8d11/websock"
)

// steps reads a list of messages, each of which add adds to s.
func (r *reader) steps(n ast.Node, what string, s *Scenario, add func(ast.Node, *step, *Scenario) error) error {
	return r.list(n, what, func(entry ast.Node) error {
		st := &step{}
		setEvery := func(read func(ast.Node, string) (time.Duration, error), what string) func(ast.Node) error {
			return func(n ast.Node) (err error) {
				if st.every > 0 {
					return r.fail(n, "every and rate say the same: choose one")
				}
				st.every, err = read(n, what)
				return err
			}
		}
		err := r.mapping(entry, "a message", keyReader{
			"send":    func(n ast.Node) (err error) { st.content, err = r.content(n, s); return err },
			"answer":  func(n ast.Node) (err error) { st.answer, err = r.answer(n); return err },
			"timeout": r.setDuration("timeout", &st.timeout, time.Millisecond),
			"think":   r.setDuration("think", &st.think, 0),
			"every":   setEvery(r.period, "every"),
			"rate":    setEvery(r.rate, "rate"),
		})
		switch {
		case err != nil:
			return err
		case len(s.opening)+len(s.loop)+len(s.timed) == maxSteps:
			return r.fail(entry, "a scenario has at most %d messages", maxSteps)
		case st.content == nil:
			return r.fail(entry, "a message needs its content: send")
		case st.timeout > 0 && st.answer == nil:
			return r.fail(entry, "timeout is that of the answer, which is not said: answer")
		}
		return add(entry, st, s)
	})
}

// addOpening adds a message that is sent once.
func (r *reader) addOpening(n ast.Node, st *step, s *Scenario) error {
	if st.every > 0 {
		return r.fail(n, "what is sent when a connection opens is sent once: every and rate are for messages")
	}
	st.opens = true
	s.opening = append(s.opening, st)
	s.addRule(st)
	return r.checkID(n, st, s)
}

// addMessage adds a message that is sent again and again.
func (r *reader) addMessage(n ast.Node, st *step, s *Scenario) error {
	switch {
	case st.every == 0:
		s.loop = append(s.loop, st)
	case st.think > 0:
		return r.fail(n, "think is the time after an answer, but every and rate don't wait for answers: choose one")
	default:
		s.timed = append(s.timed, st)
	}
	s.addRule(st)
	return r.checkID(n, st, s)
}

// checkID refuses a message without the ID that its answer needs.
func (r *reader) checkID(n ast.Node, st *step, s *Scenario) error {
	if st.answer == nil || !st.answer.hasID() {
		return nil
	}
	msg, err := st.content.append(nil, s.firstValues())
	if err != nil {
		return r.wrap(n, err)
	}
	if _, ok := st.answer.sent.capture(msg); !ok {
		return r.fail(n, "the answer is recognized by an ID that this message doesn't have: %s", st.answer)
	}
	return nil
}

// content reads what a message consists of: a text, or a mapping that says which kind it is.
func (r *reader) content(n ast.Node, s *Scenario) (c *content, err error) {
	mapping, ok := r.resolve(n).(ast.MapNode)
	if !ok {
		return r.template(n, "send", s)
	}
	if keys := mapping.MapRange(); keys.Next() && keys.Key().GetToken().Type == token.DoubleQuoteType {
		return nil, r.fail(n, "send is a mapping here, and a text that begins with { is in single quotes: '{\"op\":\"ping\"}'")
	}
	set := func(f func(ast.Node) (*content, error)) func(ast.Node) error {
		return func(n ast.Node) (err error) {
			if c != nil {
				return r.fail(n, "a message has one content")
			}
			c, err = f(n)
			return err
		}
	}
	decoded := func(what string, decode func([]byte) ([]byte, error)) func(ast.Node) error {
		return set(func(n ast.Node) (*content, error) {
			text, err := r.text(n, what)
			if err != nil {
				return nil, err
			}
			return r.tryOut(n, text, decode, s)
		})
	}
	file := func(what string, use func([]byte) (*content, error)) func(ast.Node) error {
		return set(func(n ast.Node) (*content, error) {
			b, _, err := r.readFile(n, what)
			if err != nil {
				return nil, err
			}
			c, err := use(b)
			if err != nil {
				return nil, r.wrap(n, err)
			}
			return c, r.tryContent(n, c, s)
		})
	}
	err = r.mapping(n, "send", keyReader{
		"text":   set(func(n ast.Node) (*content, error) { return r.template(n, "text", s) }),
		"hex":    decoded("hex", decodeHex),
		"base64": decoded("base64", decodeBase64),
		"file":   file("file", func(b []byte) (*content, error) { return fixedContent(b, false), nil }),
		"binary-file": file("binary-file", func(b []byte) (*content, error) {
			return fixedContent(b, true), nil
		}),
		"template-file": file("template-file", func(b []byte) (*content, error) {
			return newContent(string(b), nil, s.functions)
		}),
	})
	if err == nil && c == nil {
		err = r.fail(n, "send needs one of: base64, binary-file, file, hex, template-file, text")
	}
	return c, err
}

// answer reads what answers a message: "any", or a mapping.
func (r *reader) answer(n ast.Node) (*answer, error) {
	a := new(answer)
	var sent ast.Node
	m, err := r.matcher(n, "answer", keyReader{"sent": func(n ast.Node) error {
		sent = n
		return r.setText("sent", &a.sent.json)(n)
	}})
	if err != nil {
		return nil, err
	}
	a.matcher = m
	switch {
	case sent != nil && (m.json == "" || m.equals != nil):
		return nil, r.fail(sent, "sent is where the message has the ID that its answer has at json")
	case a.sent.json == "":
		a.sent = m
	}
	return a, nil
}

// matcher reads what messages are meant: "any", or a mapping with one of json, regex and hex, and more
// keys.
func (r *reader) matcher(n ast.Node, what string, more keyReader) (m matcher, err error) {
	if text, ok := r.resolve(n).(*ast.StringNode); ok {
		if text.Value != "any" {
			return m, r.fail(n, "%s is any, or a mapping with one of: hex, json, regex", what)
		}
		return m, nil
	}
	kinds := 0
	var equals ast.Node
	keys := keyReader{
		"json": func(n ast.Node) error {
			kinds++
			return r.setText("json", &m.json)(n)
		},
		"equals": func(n ast.Node) error {
			equals = n
			m.equals = new(string)
			return r.setText("equals", m.equals)(n)
		},
		"regex": func(n ast.Node) error {
			kinds++
			text, err := r.text(n, "regex")
			if err != nil {
				return err
			}
			if m.regex, err = regexp.Compile(text); err != nil {
				return r.wrap(n, err)
			}
			return nil
		},
		"hex": func(n ast.Node) error {
			kinds++
			text, err := r.text(n, "hex")
			if err != nil {
				return err
			}
			if m.prefix, err = decodeHex([]byte(text)); err != nil {
				return r.wrap(n, err)
			}
			return nil
		},
	}
	maps.Copy(keys, more)
	switch err = r.mapping(n, what, keys); {
	case err != nil:
		return m, err
	case kinds != 1:
		return m, r.fail(n, "%s is any, or a mapping with one of: hex, json, regex", what)
	case equals != nil && m.json == "":
		return m, r.fail(equals, "equals is for json")
	}
	return m, nil
}

// template reads a template, and tries it out.
func (r *reader) template(n ast.Node, what string, s *Scenario) (*content, error) {
	text, err := r.text(n, what)
	if err != nil {
		return nil, err
	}
	return r.tryOut(n, text, nil, s)
}

// tryOut parses a template and renders it for the first connection.
func (r *reader) tryOut(n ast.Node, text string, decode func([]byte) ([]byte, error), s *Scenario) (*content, error) {
	c, err := newContent(text, decode, s.functions)
	if err != nil {
		return nil, r.wrap(n, err)
	}
	return c, r.tryContent(n, c, s)
}

// tryContent renders a content for the first connection.
func (r *reader) tryContent(n ast.Node, c *content, s *Scenario) error {
	b, err := c.append(nil, s.firstValues())
	switch {
	case err != nil:
		return r.wrap(n, s.data.withColumns(err))
	case len(b) > websock.DefaultMessageSize:
		return r.wrap(n, errTooLarge)
	case !c.binary && !utf8.Valid(b):
		return r.fail(n, "text is UTF-8, but this is not: %.40q", b)
	}
	return nil
}

// firstValues returns the values with which templates are tried out.
func (s *Scenario) firstValues() *values {
	return &values{Sequence: 1, Time: time.Unix(1_000_000_000, 0).UTC(), Data: s.data.row(0)}
}
