package httpserver

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2/hpack"
)

// statusFields returns the header list of a response with this status, with room for n fields more.
func statusFields(code, n int) []hpack.HeaderField {
	return append(make([]hpack.HeaderField, 0, n+1), hpack.HeaderField{Name: ":status", Value: strconv.Itoa(code)})
}

// appendHeader appends the fields of a header, but not those that skip chooses. It leaves out what
// can't be sent: malformed names and values, and what HTTP/2 doesn't have.
func appendHeader(list []hpack.HeaderField, h http.Header, skip func(key string) bool) []hpack.HeaderField {
	for key, values := range h {
		if !skip(key) {
			list = appendField(list, key, values)
		}
	}
	return list
}

func appendField(list []hpack.HeaderField, key string, values []string) []hpack.HeaderField {
	name := strings.ToLower(key)
	if !httpguts.ValidHeaderFieldName(name) || slices.Contains(connectionFields, name) {
		return list
	}
	for _, v := range values {
		if v = strings.Trim(v, " \t"); httpguts.ValidHeaderFieldValue(v) {
			list = append(list, hpack.HeaderField{Name: name, Value: v})
		}
	}
	return list
}
