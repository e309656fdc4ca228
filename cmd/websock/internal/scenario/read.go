package scenario

import (
	"maps"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"golang.org/x/net/http/httpguts"

	"github.com/seed004e8d11/websock"
)

// maxConnections bounds the connections of a scenario.
const maxConnections = 1 << 24

// scenario reads the whole file. data is read first, since templates are tried out with its first row.
func (r *reader) scenario(n ast.Node, s *Scenario) error {
	var stages, duration, connections ast.Node
	keys := keyReader{
		"url": r.setText("url", &s.URL),
		"connections": func(n ast.Node) (err error) {
			connections = n
			s.Connections, err = r.integer(n, "connections", 1, maxConnections)
			return err
		},
		"duration": func(n ast.Node) error {
			duration = n
			return r.setDuration("duration", &s.Duration, time.Millisecond)(n)
		},
		"stages": func(n ast.Node) error {
			stages = n
			return r.stages(n, s)
		},
		"data":         func(ast.Node) error { return nil },
		"path":         func(n ast.Node) error { return r.path(n, s) },
		"headers":      func(n ast.Node) error { return r.headers(n, s) },
		"subprotocols": func(n ast.Node) error { return r.subprotocols(n, s) },
		"open":         func(n ast.Node) error { return r.steps(n, "open", s, r.addOpening) },
		"messages":     func(n ast.Node) error { return r.steps(n, "messages", s, r.addMessage) },
		"pushed":       func(n ast.Node) error { return r.pushed(n, s) },
		"count":        func(n ast.Node) error { return r.counters(n, "count", &s.counts) },
		"errors":       func(n ast.Node) error { return r.counters(n, "errors", &s.failures) },
		"close":        func(n ast.Node) error { return r.closes(n, s) },
	}
	if err := r.data(n, s); err != nil {
		return err
	}
	if err := r.mapping(n, "a scenario", keys); err != nil {
		return err
	}
	switch {
	case stages != nil && connections != nil:
		return r.fail(connections, "stages say how many connections there are: leave connections out")
	case stages != nil && duration != nil:
		return r.fail(duration, "stages say how long it takes: leave duration out")
	case len(s.loop) > 0 && !slices.ContainsFunc(s.loop, func(st *step) bool { return st.think > 0 || st.answer != nil }):
		return r.fail(n, "messages that are sent in turn, again and again, need a think or an answer; or give each every or rate")
	}
	return nil
}

// data reads the CSV file, wherever in the mapping it is.
func (r *reader) data(n ast.Node, s *Scenario) error {
	return r.pairs(n, "a scenario", func(_, value ast.Node, name string) error {
		if name != "data" {
			return nil
		}
		text, file, err := r.readFile(value, "data")
		if err != nil {
			return err
		}
		if s.data, err = parseTable(text); err != nil {
			return r.fail(value, "%s: %w", file, err)
		}
		return nil
	})
}

// readFile returns the content of the file whose name is a value, and the name.
func (r *reader) readFile(n ast.Node, what string) (content []byte, name string, err error) {
	if name, err = r.text(n, what); err != nil {
		return nil, "", err
	}
	if content, err = r.sources.ReadFile(name); err != nil {
		return nil, "", r.wrap(n, err)
	}
	return content, name, nil
}

func (r *reader) stages(n ast.Node, s *Scenario) error {
	before := 0
	err := r.list(n, "stages", func(entry ast.Node) (err error) {
		stage := Stage{To: before, For: -1}
		err = r.mapping(entry, "a stage", keyReader{
			"name": r.setText("name", &stage.Name),
			"to": func(n ast.Node) (err error) {
				stage.To, err = r.integer(n, "to", 0, maxConnections)
				return err
			},
			"for": r.setDuration("for", &stage.For, 0),
		})
		before = stage.To
		s.Stages = append(s.Stages, stage)
		if err == nil && stage.For < 0 {
			err = r.fail(entry, "a stage needs a time: for")
		}
		return err
	})
	if err == nil && (s.MostConnections() == 0 || s.Length() == 0 || s.Length() > maxDuration) {
		err = r.fail(n, "stages have at least one connection, and take a time of at most %v", maxDuration)
	}
	nameStages(s.Stages)
	return err
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
		return r.wrap(n, err)
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

func (r *reader) path(n ast.Node, s *Scenario) (err error) {
	if s.path, err = r.template(n, "path", s); err != nil {
		return err
	}
	b, _ := s.path.append(nil, s.firstValues()) // template has tried it
	if _, err = checkPath(string(b)); err != nil {
		return r.wrap(n, err)
	}
	return nil
}

func (r *reader) headers(n ast.Node, s *Scenario) error {
	return r.pairs(n, "headers", func(key, value ast.Node, name string) error {
		c, err := r.template(value, name, s)
		if err != nil {
			return err
		}
		b, _ := c.append(nil, s.firstValues())
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(string(b)) {
			return r.fail(key, "%q can't be a header field", name)
		}
		s.headers = append(s.headers, header{name, c})
		return nil
	})
}

func (r *reader) subprotocols(n ast.Node, s *Scenario) error {
	return r.list(n, "subprotocols", func(entry ast.Node) error {
		name, err := r.text(entry, "a subprotocol")
		s.Subprotocols = append(s.Subprotocols, name)
		return err
	})
}

// steps reads a list of messages, each of which add adds to s.
func (r *reader) steps(n ast.Node, what string, s *Scenario, add func(ast.Node, *step, *Scenario) error) error {
	return r.list(n, what, func(entry ast.Node) error {
		st := &step{}
		err := r.mapping(entry, "a message", keyReader{
			"send":    func(n ast.Node) (err error) { st.content, err = r.content(n, s); return err },
			"answer":  func(n ast.Node) (err error) { st.answer, err = r.answer(n); return err },
			"timeout": r.setDuration("timeout", &st.timeout, time.Millisecond),
			"think":   r.setDuration("think", &st.think, 0),
			"every":   r.setDuration("every", &st.every, time.Microsecond),
			"rate":    func(n ast.Node) (err error) { st.every, err = r.rate(n, "rate"); return err },
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
	if _, ok := r.resolve(n).(ast.MapNode); !ok {
		return r.template(n, "send", s)
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

func (r *reader) pushed(n ast.Node, s *Scenario) error {
	t := &timestamp{}
	m, err := r.matcher(n, "pushed", keyReader{"unit": r.setText("unit", &t.unit)})
	switch {
	case err != nil:
		return err
	case !m.hasID():
		return r.fail(n, "pushed needs json, or a regex with a group: where the time is")
	case units[t.unit] == 0 && t.unit != "rfc3339":
		return r.fail(n, "unit is one of: ms, ns, rfc3339, s, us")
	}
	t.where, s.pushed = m, t
	return nil
}

// counters reads names and what they count.
func (r *reader) counters(n ast.Node, what string, to *[]counter) error {
	return r.pairs(n, what, func(key, value ast.Node, name string) error {
		m, err := r.matcher(value, name, nil)
		if err == nil && len(*to) == maxCounters {
			err = r.fail(key, "%s has at most %d names", what, maxCounters)
		}
		*to = append(*to, counter{name, m})
		return err
	})
}

func (r *reader) closes(n ast.Node, s *Scenario) error {
	s.closes = map[websock.CloseCode]bool{}
	return r.mapping(n, "close", keyReader{"codes": func(n ast.Node) error {
		return r.list(n, "codes", func(entry ast.Node) error {
			code, err := r.integer(entry, "a close code", 1000, 4999)
			s.closes[websock.CloseCode(code)] = true
			return err
		})
	}})
}
