// Package compare tells how the results of two runs differ.
package compare

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A Summary is the result of a run, as fanout -json has written it: by this version of the program or by
// another, so any of the keys may be missing.
type Summary struct {
	Name   string // for people
	values map[string]any
}

// maxSize bounds the JSON of a Summary.
const maxSize = 64 << 20

// Read reads a Summary, and nothing that follows it but space.
func Read(name string, from io.Reader) (Summary, error) {
	s := Summary{Name: name}
	limited := &io.LimitedReader{R: from, N: maxSize}
	d := json.NewDecoder(limited)
	err := d.Decode(&s.values)
	switch _, next := d.Token(); {
	case limited.N == 0:
		return s, fmt.Errorf("%s: it is larger than %d MiB", name, maxSize>>20)
	case errors.Is(err, io.EOF):
		return s, fmt.Errorf("%s: it is empty", name)
	case err != nil:
		return s, fmt.Errorf("%s: no result of fanout -json: %w", name, err)
	case !errors.Is(next, io.EOF):
		return s, fmt.Errorf("%s: something follows the result", name)
	}
	for _, key := range []string{"asked", "connections", "received"} { // every version has them
		if _, ok := s.number(key); !ok {
			return s, fmt.Errorf("%s: no result of fanout -json: it has no %q", name, key)
		}
	}
	return s, nil
}

// number returns the number with a key, which is below others if it is "latency_us.p99", and false if there
// is none.
func (s Summary) number(key string) (float64, bool) {
	object, below, nested := strings.Cut(key, ".")
	value := s.values[object]
	if nested {
		within, _ := value.(map[string]any)
		value = within[below]
	}
	n, ok := value.(float64)
	return n, ok
}

// text returns the value of an option for people, and "" if it has none.
func (s Summary) text(key string) string {
	switch v := s.values[key].(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		texts := make([]string, len(v))
		for i, one := range v {
			texts[i] = fmt.Sprint(one)
		}
		return strings.Join(texts, " ")
	}
	return fmt.Sprint(s.values[key])
}
