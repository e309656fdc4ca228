package handshake

import (
	"bytes"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// A plainResponse has the headers of a 101 response that matter, as views of the message. A header that
// is missing is nil.
type plainResponse struct {
	upgrade, connection, accept, protocol, extensions []byte
}

// parsePlain parses a 101 response if that is written as nearly all are: HTTP/1.1, each line ends with
// CR LF, none is folded, all values are of printable ASCII characters, and no header that matters is
// repeated. Then the result is that of parseResponse, without the memory that a http.Header takes. For
// everything else ok is false, also for what is wrong: parseResponse has the last word.
func parsePlain(head []byte) (p plainResponse, ok bool) {
	rest, ok := bytes.CutPrefix(head, []byte("HTTP/1.1 101"))
	if !ok {
		return p, false
	}
	reason, rest, ok := cutPlainLine(rest)
	if !ok || len(reason) > 0 && reason[0] != ' ' {
		return p, false
	}
	for {
		var line []byte
		if line, rest, ok = cutPlainLine(rest); !ok {
			return p, false
		}
		if len(line) == 0 {
			return p, true
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !httpguts.ValidHeaderFieldName(string(name)) {
			return p, false
		}
		if field := p.field(name); field != nil {
			if *field != nil {
				return p, false
			}
			*field = trimBlanks(value)
		}
	}
}

// field returns the place of a header that matters, or nil.
func (p *plainResponse) field(name []byte) *[]byte {
	var place *[]byte
	var known string
	switch len(name) { // each has its own
	case len(headerUpgrade):
		place, known = &p.upgrade, headerUpgrade
	case len(headerConnection):
		place, known = &p.connection, headerConnection
	case len(headerAccept):
		place, known = &p.accept, headerAccept
	case len(headerProtocol):
		place, known = &p.protocol, headerProtocol
	case len(headerExtensions):
		place, known = &p.extensions, headerExtensions
	}
	if place == nil || !strings.EqualFold(string(name), known) {
		return nil
	}
	return place
}

// cutPlainLine returns the first line without its CR LF, and what follows. ok is false unless the line
// has printable ASCII characters and tabs only.
func cutPlainLine(text []byte) (line, rest []byte, ok bool) {
	line, rest, ok = bytes.Cut(text, []byte("\n"))
	if !ok {
		return nil, nil, false
	}
	if line, ok = bytes.CutSuffix(line, []byte("\r")); !ok {
		return nil, nil, false
	}
	for _, c := range line {
		if (c < ' ' || c > '~') && c != '\t' {
			return nil, nil, false
		}
	}
	return line, rest, true
}

// trimBlanks removes spaces and tabs at both ends. The result isn't nil, as that of bytes.Trim may be.
func trimBlanks(b []byte) []byte {
	isBlank := func(c byte) bool { return c == ' ' || c == '\t' }
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// agreement returns what the response agrees to. If ok is false, it has to be checked by
// response.agreement, which says what is wrong.
func (p *plainResponse) agreement(r *Request, k *key) (a agreement, ok bool) {
	if !strings.EqualFold(string(p.upgrade), "websocket") || !strings.EqualFold(string(p.connection), "upgrade") {
		return a, false
	}
	if accept := k.accept(); !bytes.Equal(p.accept, accept[:]) {
		return a, false
	}
	if len(p.protocol) > 0 {
		i := slices.Index(r.Subprotocols, string(p.protocol))
		if i < 0 {
			return a, false
		}
		a.subprotocol = r.Subprotocols[i]
	}
	if len(p.extensions) > 0 {
		var err error
		if a.compression, err = acceptResponse(r.Compression, []string{string(p.extensions)}); err != nil {
			return a, false
		}
	}
	return a, true
}
