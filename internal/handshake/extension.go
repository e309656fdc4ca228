package handshake

import (
	"fmt"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// An extension is an element of Sec-WebSocket-Extensions (RFC 6455 section 9.1).
type extension struct {
	name       string
	parameters []parameter
}

type parameter struct {
	name  string
	value string // "": none, since an empty value is invalid
}

// parseExtensions parses the values of Sec-WebSocket-Extensions. Lists may have empty elements.
func parseExtensions(values []string) (list []extension, err error) {
	for _, value := range values {
		p := extensionParser{rest: value}
		for !p.atEnd() {
			if p.skip(',') {
				continue
			}
			list = append(list, p.extension())
			if !p.atEnd() && !p.skip(',') {
				p.failed = true
			}
			if p.failed {
				return nil, fmt.Errorf("malformed extensions %.100q", value)
			}
		}
	}
	return list, nil
}

type extensionParser struct {
	rest   string
	failed bool
}

func (p *extensionParser) extension() extension {
	e := extension{name: p.token()}
	for p.skip(';') {
		q := parameter{name: p.token()}
		if p.skip('=') {
			q.value = p.value()
		}
		e.parameters = append(e.parameters, q)
	}
	return e
}

func (p *extensionParser) atEnd() bool {
	p.rest = strings.TrimLeft(p.rest, " \t")
	return p.rest == ""
}

// skip skips c and reports whether it was next.
func (p *extensionParser) skip(c byte) bool {
	if p.atEnd() || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *extensionParser) token() string {
	p.atEnd()
	end := strings.IndexFunc(p.rest, func(r rune) bool { return !httpguts.IsTokenRune(r) })
	if end < 0 {
		end = len(p.rest)
	}
	token := p.rest[:end]
	p.rest = p.rest[end:]
	p.failed = p.failed || token == ""
	return token
}

// value reads a token, or a quoted string that contains one.
func (p *extensionParser) value() string {
	if !p.skip('"') {
		return p.token()
	}
	var unquoted strings.Builder
	for i := 0; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
			p.failed = p.failed || !httpguts.ValidHeaderFieldName(unquoted.String())
			return unquoted.String()
		case c == '\\' && i+1 < len(p.rest):
			i++
			unquoted.WriteByte(p.rest[i])
		default:
			unquoted.WriteByte(c)
		}
	}
	p.failed = true
	return ""
}
