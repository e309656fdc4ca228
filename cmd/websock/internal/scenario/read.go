package scenario

import (
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"
	"golang.org/x/net/http/httpguts"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/threshold"
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
		"thresholds":   func(n ast.Node) error { return r.thresholds(n, s) },
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

func (r *reader) thresholds(n ast.Node, s *Scenario) error {
	return r.list(n, "thresholds", func(entry ast.Node) error {
		text, err := r.text(entry, "a threshold")
		if err != nil {
			return err
		}
		t, err := threshold.Parse(text)
		if err != nil {
			return r.wrap(entry, err)
		}
		s.Thresholds = append(s.Thresholds, t)
		return nil
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
