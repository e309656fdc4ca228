package scenario

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/threshold"
)

// A Scenario says what the connections of a load test do. It does not change, so several goroutines may
// use it.
type Scenario struct {
	URL          string        // "": not said
	Connections  int           // 0: not said, or there are Stages
	Duration     time.Duration // 0: not said, or there are Stages
	Stages       []Stage       // of connecting; nil: all connections are opened at once
	Subprotocols []string
	Thresholds   []threshold.Threshold // that decide whether the run was good

	functions template.FuncMap
	data      *table
	path      *content // nil: that of the URL
	headers   []header
	opening   []*step   // in order, when a connection is open
	loop      []*step   // in order, again and again, after that
	timed     []*step   // each at its own times, after that
	rules     []*answer // of all steps; those that are equal once
	pushed    *timestamp
	counts    []counter
	failures  []counter
	closes    map[websock.CloseCode]bool // ends by the server that are no errors
}

// A header is a field of the opening handshake.
type header struct {
	name  string
	value *content
}

// A step is a message, and what comes of it.
type step struct {
	content *content
	every   time.Duration // 0: it is sent in its turn
	think   time.Duration // before the next step: after the answer or, if it has none, after sending
	timeout time.Duration // of the answer; 0: the default
	answer  *answer       // nil: it has none
	rule    int           // number of the answer among the rules of the scenario
	opens   bool          // it is sent when a connection opens
}

// A counter counts messages that match.
type counter struct {
	name string
	matcher
}

// maxCounters bounds the names in count and errors each, which are bits of a Reception.
const maxCounters = 64

// maxSteps bounds the messages in open and messages together.
const maxSteps = 1000

// Sources are where a scenario gets what is not in it.
type Sources struct {
	// ReadFile returns the content of a file that the scenario names.
	ReadFile func(name string) ([]byte, error)

	// LookupEnv returns a variable of the environment.
	LookupEnv func(name string) (value string, ok bool)
}

// Parse parses a scenario and what it names. Errors are of type *Error and have the name of the file.
func Parse(file string, text []byte, from Sources) (*Scenario, error) {
	r := &reader{file: file, anchors: map[string]ast.Node{}, sources: from}
	document, err := r.document(text)
	if err != nil {
		return nil, err
	}
	s := &Scenario{functions: templateFunctions(from.LookupEnv)}
	if err := r.scenario(document, s); err != nil {
		return nil, err
	}
	return s, nil
}

// Request returns the path with query, unless it is "", and the header fields of a connection's opening
// handshake.
func (s *Scenario) Request(connection int, now time.Time) (path string, fields http.Header, err error) {
	v := &values{Connection: connection, Time: now, Data: s.data.row(connection)}
	if s.path != nil {
		b, err := s.path.append(nil, v)
		if err != nil {
			return "", nil, err
		}
		if path, err = checkPath(string(b)); err != nil {
			return "", nil, err
		}
	}
	for _, h := range s.headers {
		value, err := h.value.append(nil, v)
		if err != nil {
			return "", nil, err
		}
		if fields == nil {
			fields = http.Header{}
		}
		fields.Add(h.name, string(value))
	}
	return path, fields, nil
}

// ChangesRequests reports whether Request returns anything.
func (s *Scenario) ChangesRequests() bool { return s.path != nil || len(s.headers) > 0 }

// checkPath returns the path with query that a text is.
func checkPath(text string) (string, error) {
	if !strings.HasPrefix(text, "/") {
		return "", fmt.Errorf("a path begins with /, unlike %q", text)
	}
	u, err := url.ParseRequestURI(text)
	if err != nil {
		return "", fmt.Errorf("not a path: %w", err)
	}
	return u.RequestURI(), nil
}

// ExpectsClose reports whether it is no error that the server closes a connection with this code.
func (s *Scenario) ExpectsClose(code websock.CloseCode) bool { return s.closes[code] }

// Rate returns how many messages a second are due on a connection, whether or not answers come.
func (s *Scenario) Rate() (rate float64) {
	for _, st := range s.timed {
		rate += float64(time.Second) / float64(st.every)
	}
	return rate
}

// Counts returns the names of what is counted: see Reception.
func (s *Scenario) Counts() []string { return namesOf(s.counts) }

// Failures returns the names of the messages that are errors: see Reception.
func (s *Scenario) Failures() []string { return namesOf(s.failures) }

func namesOf(counters []counter) (names []string) {
	for _, c := range counters {
		names = append(names, c.name)
	}
	return names
}

// Answers says what counts as an answer, a line for each rule.
func (s *Scenario) Answers() (rules []string) {
	for _, a := range s.rules {
		rules = append(rules, a.String())
	}
	return rules
}

// addRule has a step use the rule that is equal to its answer, which is added if there is none.
func (s *Scenario) addRule(st *step) {
	if st.answer == nil {
		return
	}
	st.rule = slices.IndexFunc(s.rules, func(a *answer) bool { return a.String() == st.answer.String() })
	if st.rule < 0 {
		st.rule = len(s.rules)
		s.rules = append(s.rules, st.answer)
	}
}

// PushedTime says where received messages have the time at which they were sent, or "".
func (s *Scenario) PushedTime() string {
	switch {
	case s.pushed == nil:
		return ""
	case s.pushed.where.json != "":
		return fmt.Sprintf("%s in %s", s.pushed.where.json, s.pushed.unit)
	}
	return fmt.Sprintf("/%s/ in %s", s.pushed.where.regex, s.pushed.unit)
}
