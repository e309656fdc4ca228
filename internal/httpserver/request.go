package httpserver

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2/hpack"
)

// pseudoFields are the pseudo-header fields of a request (RFC 9113 section 8.3.1, RFC 8441 section
// 4). An absent one is "".
type pseudoFields struct{ method, scheme, authority, path, protocol string }

// field returns where the value of a pseudo-header field belongs, or nil if a request has no such
// field.
func (p *pseudoFields) field(name string) *string {
	switch name {
	case ":method":
		return &p.method
	case ":scheme":
		return &p.scheme
	case ":authority":
		return &p.authority
	case ":path":
		return &p.path
	case ":protocol":
		return &p.protocol
	}
	return nil
}

// newRequest returns the request with these fields, without its Body, its context and what belongs to
// its connection. endStream says that no body follows. An error says why the request is malformed (RFC
// 9113 section 8.1.1).
func newRequest(fields []hpack.HeaderField, endStream bool) (r *http.Request, expectsContinue bool, err error) {
	pseudo, header, err := parseFields(fields)
	if err != nil {
		return nil, false, err
	}
	r = &http.Request{
		Method:     pseudo.method,
		Proto:      "HTTP/2.0",
		ProtoMajor: 2,
		Header:     header,
	}
	if r.Host, err = takeHost(pseudo, header); err != nil {
		return nil, false, err
	}
	if r.URL, r.RequestURI, err = target(pseudo, r.Host); err != nil {
		return nil, false, err
	}
	if r.ContentLength, err = contentLength(header, endStream); err != nil {
		return nil, false, err
	}
	if pseudo.protocol != "" {
		header[":protocol"] = []string{pseudo.protocol} // as net/http presents it
	}
	if cookies := header["Cookie"]; len(cookies) > 1 { // RFC 9113 section 8.2.3
		header["Cookie"] = []string{strings.Join(cookies, "; ")}
	}
	r.Trailer = takeTrailer(header)
	if expectsContinue = httpguts.HeaderValuesContainsToken(header["Expect"], "100-continue"); expectsContinue {
		delete(header, "Expect")
	}
	return r, expectsContinue, nil
}

// parseFields checks the fields one by one (RFC 9113 section 8.2), and separates the pseudo-header
// fields from the header.
func parseFields(fields []hpack.HeaderField) (pseudo pseudoFields, header http.Header, err error) {
	header = make(http.Header, len(fields))
	values := make([]string, len(fields)) // one allocation for most values
	regular := false
	for _, f := range fields {
		if strings.HasPrefix(f.Name, ":") {
			value := pseudo.field(f.Name)
			switch {
			case regular:
				return pseudo, nil, errors.New("a pseudo-header field follows the header")
			case value == nil:
				return pseudo, nil, fmt.Errorf("a request has no field %.100q", f.Name)
			case *value != "":
				return pseudo, nil, fmt.Errorf("the field %q is repeated", f.Name)
			case f.Value == "" || !httpguts.ValidHeaderFieldValue(f.Value):
				return pseudo, nil, fmt.Errorf("the field %q is malformed", f.Name)
			}
			*value = f.Value
			continue
		}
		regular = true
		if err := checkField(f); err != nil {
			return pseudo, nil, err
		}
		key := http.CanonicalHeaderKey(f.Name)
		if before := header[key]; before != nil {
			header[key] = append(before, f.Value)
			continue
		}
		values[0] = f.Value
		header[key], values = values[:1:1], values[1:]
	}
	return pseudo, header, pseudo.check()
}

// check checks which pseudo-header fields there are.
func (p *pseudoFields) check() error {
	switch {
	case !validToken(p.method):
		return errors.New("the method is missing or malformed")
	case p.protocol != "" && p.method != http.MethodConnect:
		return errors.New("the field :protocol belongs to CONNECT only")
	case p.protocol != "" && p.authority == "":
		return errors.New("an extended CONNECT has no authority")
	case p.method == http.MethodConnect && p.protocol == "":
		if p.authority == "" || p.scheme != "" || p.path != "" {
			return errors.New("a CONNECT has an authority, and neither scheme nor path")
		}
	case p.scheme != "http" && p.scheme != "https":
		return errors.New("the scheme is neither http nor https")
	case p.path == "":
		return errors.New("the path is missing")
	}
	return nil
}

func validToken(s string) bool { return httpguts.ValidHeaderFieldName(s) }

// connectionFields must not be in a header of HTTP/2 (RFC 9113 section 8.2.2).
var connectionFields = []string{"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}

// checkField checks a field of the header (RFC 9113 sections 8.2.1 and 8.2.2).
func checkField(f hpack.HeaderField) error {
	switch {
	case !validToken(f.Name) || strings.ContainsFunc(f.Name, isUpper):
		return fmt.Errorf("the field name %.100q is malformed", f.Name)
	case !httpguts.ValidHeaderFieldValue(f.Value) || strings.Trim(f.Value, " \t") != f.Value:
		return fmt.Errorf("the value of %.100q is malformed", f.Name)
	case slices.Contains(connectionFields, f.Name):
		return fmt.Errorf("the field %q does not exist in HTTP/2", f.Name)
	case f.Name == "te" && f.Value != "trailers":
		return errors.New(`the field "te" has a value other than trailers`)
	}
	return nil
}

func isUpper(r rune) bool { return 'A' <= r && r <= 'Z' }

// takeHost returns the host that a request is for, and removes Host from the header (RFC 9113 section
// 8.3.1).
func takeHost(pseudo pseudoFields, header http.Header) (string, error) {
	host := pseudo.authority
	switch hosts := header["Host"]; {
	case len(hosts) > 1:
		return "", errors.New("there are several Host fields")
	case len(hosts) == 1 && host == "":
		host = hosts[0]
	case len(hosts) == 1 && !strings.EqualFold(host, hosts[0]):
		return "", errors.New("the fields Host and :authority differ")
	}
	delete(header, "Host")
	if !httpguts.ValidHostHeader(host) || strings.Contains(host, "@") {
		return "", errors.New("the authority is malformed")
	}
	return host, nil
}

// target returns the URL of a request and its RequestURI.
func target(pseudo pseudoFields, host string) (*url.URL, string, error) {
	if pseudo.method == http.MethodConnect && pseudo.protocol == "" {
		return &url.URL{Host: host}, host, nil
	}
	if pseudo.path != "*" && pseudo.path[0] != '/' {
		return nil, "", errors.New("the path is malformed")
	}
	u, err := url.ParseRequestURI(pseudo.path)
	if err != nil {
		return nil, "", errors.New("the path is malformed")
	}
	return u, pseudo.path, nil
}

// contentLength returns the length of the body: -1 if it is unknown, and 0 if there is none.
func contentLength(header http.Header, endStream bool) (int64, error) {
	values := header["Content-Length"]
	switch {
	case len(values) == 0 && endStream:
		return 0, nil
	case len(values) == 0:
		return -1, nil
	}
	length, err := strconv.ParseUint(values[0], 10, 63)
	if len(values) > 1 || err != nil {
		return 0, errors.New("the Content-Length is malformed")
	}
	if endStream && length != 0 {
		return 0, errors.New("the Content-Length announces a body, and there is none")
	}
	return int64(length), nil
}

// takeTrailer returns the trailer that a header announces, without values, and removes the
// announcement (RFC 9110 section 6.6.2).
func takeTrailer(header http.Header) http.Header {
	var trailer http.Header
	for _, v := range header["Trailer"] {
		for name := range strings.SplitSeq(v, ",") {
			key := http.CanonicalHeaderKey(textproto.TrimString(name))
			if !httpguts.ValidTrailerHeader(key) {
				continue
			}
			if trailer == nil {
				trailer = http.Header{}
			}
			trailer[key] = nil
		}
	}
	delete(header, "Trailer")
	return trailer
}
