package scenario

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// A matcher tells some messages from others. What a peer sends can't make it slow: its time is linear in
// the size of the message.
type matcher struct {
	json   string  // a path; "": none
	equals *string // the value there, as text; nil: any
	regex  *regexp.Regexp
	prefix []byte // nil: none. Without all of these every message matches
}

// matches reports whether it matches a message.
func (m *matcher) matches(msg []byte) bool {
	switch {
	case m.json != "":
		value := gjson.GetBytes(msg, m.json)
		return value.Exists() && (m.equals == nil || value.String() == *m.equals)
	case m.regex != nil:
		return m.regex.Match(msg)
	}
	return bytes.HasPrefix(msg, m.prefix)
}

// hasID reports whether the message and its answer have the same ID.
func (m *matcher) hasID() bool {
	return m.json != "" && m.equals == nil || m.regex != nil && m.regex.NumSubexp() > 0
}

var seed = maphash.MakeSeed()

// id returns a hash of the ID in a message: IDs of any length can be kept in little memory.
func (m *matcher) id(msg []byte) (hash uint64, ok bool) {
	text, ok := m.capture(msg)
	return maphash.Bytes(seed, text), ok
}

// capture returns the value at the path, as text, or the first group of the regular expression.
func (m *matcher) capture(msg []byte) (text []byte, ok bool) {
	if m.regex != nil {
		found := m.regex.FindSubmatchIndex(msg)
		if found == nil || found[2] < 0 {
			return nil, false
		}
		return msg[found[2]:found[3]], true
	}
	value := gjson.GetBytes(msg, m.json)
	return []byte(value.String()), value.Exists() && value.Type != gjson.Null
}

// String says what it matches, for a report.
func (m *matcher) String() string {
	switch {
	case m.equals != nil:
		return fmt.Sprintf("%s is %q", m.json, *m.equals)
	case m.json != "":
		return "with " + m.json
	case m.regex != nil:
		return fmt.Sprintf("/%s/", m.regex)
	case len(m.prefix) > 0:
		return "beginning with " + strings.ToUpper(hex.EncodeToString(m.prefix))
	}
	return "any message"
}

// An answer says what answers a message.
type answer struct {
	matcher
	sent matcher // where the message has its ID
}

// String says what answers a message, for a report.
func (a *answer) String() string {
	switch {
	case !a.hasID():
		return a.matcher.String()
	case a.json != "" && a.sent.json != a.json:
		return fmt.Sprintf("%s is the message's %s", a.json, a.sent.json)
	case a.json != "":
		return "the same " + a.json
	}
	return fmt.Sprintf("the same group of /%s/", a.regex)
}

// A timestamp says where messages have the time at which they were sent.
type timestamp struct {
	where matcher
	unit  string
}

// units are the values of unit that are numbers since 1970.
var units = map[string]time.Duration{"s": time.Second, "ms": time.Millisecond, "us": time.Microsecond, "ns": time.Nanosecond}

// in returns the time that a message says, if it does.
func (t *timestamp) in(msg []byte) (at time.Time, ok bool) {
	text, ok := t.where.capture(msg)
	if !ok {
		return at, false
	}
	if t.unit == "rfc3339" {
		at, err := time.Parse(time.RFC3339Nano, string(text))
		return at, err == nil
	}
	ns, ok := nanoseconds(string(text), units[t.unit])
	return time.Unix(0, ns), ok
}

// nanoseconds returns a decimal number of a unit in nanoseconds, exactly unless it has an exponent.
func nanoseconds(text string, unit time.Duration) (ns int64, ok bool) {
	whole, fraction, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	part, fractionErr := strconv.ParseFloat("0."+fraction+"0", 64)
	if err != nil || fractionErr != nil || strings.ContainsAny(fraction, "eE_xX+-") {
		f, err := strconv.ParseFloat(text, 64)
		f *= float64(unit)
		return int64(f), err == nil && f > 0 && f < math.MaxInt64
	}
	if n < 0 || n > (math.MaxInt64-int64(unit))/int64(unit) {
		return 0, false
	}
	return n*int64(unit) + int64(math.Round(part*float64(unit))), true
}
