package httpserver

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// fields makes a header list of lines such as ":method: GET".
func fields(lines ...string) (list []hpack.HeaderField) {
	for _, line := range lines {
		at := 1 + strings.Index(line[1:], ": ")
		list = append(list, hpack.HeaderField{Name: line[:at], Value: line[at+2:]})
	}
	return list
}

// get are the pseudo-header fields of a plain request.
var get = []string{":method: GET", ":scheme: https", ":authority: example.com", ":path: /a?b=c"}

// withGet returns a GET with these fields more.
func withGet(lines ...string) []hpack.HeaderField { return fields(append(get[:4:4], lines...)...) }

func TestARequestIsMadeOfItsFields(t *testing.T) {
	r, expects, err := newRequest(withGet("accept: a", "accept: b", "cookie: x=1", "cookie: y=2",
		"trailer: digest, content-length", "expect: 100-continue", "content-length: 7", "te: trailers"), false)
	if err != nil {
		t.Fatal(err)
	}
	want := http.Header{"Accept": {"a", "b"}, "Cookie": {"x=1; y=2"}, "Content-Length": {"7"}, "Te": {"trailers"}}
	if !reflect.DeepEqual(r.Header, want) {
		t.Errorf("header %v, want %v", r.Header, want)
	}
	if r.Method != "GET" || r.Host != "example.com" || r.RequestURI != "/a?b=c" || r.URL.Path != "/a" || r.URL.RawQuery != "b=c" || r.URL.Host != "" {
		t.Errorf("%+v, %+v", r, r.URL)
	}
	if r.Proto != "HTTP/2.0" || r.ProtoMajor != 2 || r.ProtoMinor != 0 || r.ContentLength != 7 || !expects {
		t.Errorf("%+v, %v", r, expects)
	}
	if !reflect.DeepEqual(r.Trailer, http.Header{"Digest": nil}) {
		t.Errorf("trailer %v", r.Trailer)
	}
}

func TestTheLengthOfABodyIsUnknownWithoutContentLength(t *testing.T) {
	for _, end := range []bool{false, true} {
		r, _, err := newRequest(withGet(), end)
		if err != nil || (r.ContentLength == 0) != end || (r.ContentLength == -1) == end {
			t.Errorf("end %v: %+v, %v", end, r, err)
		}
	}
}

func TestFormsOfTheTarget(t *testing.T) {
	for _, c := range []struct {
		name      string
		fields    []string
		host, uri string
	}{
		{"the host in Host", []string{":method: GET", ":scheme: http", ":path: /", "host: a:1"}, "a:1", "/"},
		{"a host is the same in other case", []string{":method: GET", ":scheme: http", ":authority: a", ":path: /", "host: A"}, "a", "/"},
		{"the same host twice", []string{":method: GET", ":scheme: http", ":authority: a", ":path: /", "host: a"}, "a", "/"},
		{"all of the server", []string{":method: OPTIONS", ":scheme: http", ":authority: a", ":path: *"}, "a", "*"},
		{"CONNECT", []string{":method: CONNECT", ":authority: a:1"}, "a:1", "a:1"},
		{"WebSocket", []string{":method: CONNECT", ":protocol: websocket", ":scheme: https", ":authority: a", ":path: /c"}, "a", "/c"},
	} {
		r, _, err := newRequest(fields(c.fields...), false)
		if err != nil || r.Host != c.host || r.RequestURI != c.uri || r.Header["Host"] != nil {
			t.Errorf("%s: %+v, %v", c.name, r, err)
			continue
		}
		if want := c.name == "WebSocket"; (r.Header[":protocol"] != nil) != want {
			t.Errorf("%s: %v", c.name, r.Header)
		}
	}
}

func TestMalformedRequestsAreFound(t *testing.T) {
	pseudo := func(method, scheme, authority, path string) []hpack.HeaderField {
		return fields(":method: "+method, ":scheme: "+scheme, ":authority: "+authority, ":path: "+path)
	}
	for name, list := range map[string][]hpack.HeaderField{
		"nothing":                         nil,
		"no method":                       fields(get[1:]...),
		"no scheme":                       fields(get[0], get[2], get[3]),
		"no path":                         fields(get[:3]...),
		"empty path":                      append(fields(get[:3]...), hpack.HeaderField{Name: ":path"}),
		"method that is no token":         pseudo("G T", "https", "a", "/"),
		"another scheme":                  pseudo("GET", "ftp", "a", "/"),
		"userinfo":                        pseudo("GET", "https", "u@a", "/"),
		"malformed authority":             pseudo("GET", "https", "a b", "/"),
		"relative path":                   pseudo("GET", "https", "a", "a"),
		"malformed path":                  pseudo("GET", "https", "a", "/%zz"),
		"line feed in the path":           pseudo("GET", "https", "a", "/\n"),
		"pseudo-header field twice":       append(fields(get[0]), withGet()...),
		"pseudo-header field of response": append(fields(":status: 200"), withGet()...),
		"unknown pseudo-header field":     append(fields(":user: me"), withGet()...),
		"pseudo-header field at the end":  append(fields("a: b"), withGet()...),
		"upper case":                      withGet("Accept: a"),
		"name that is no token":           withGet("a b: c"),
		"empty name":                      append(withGet(), hpack.HeaderField{Value: "a"}),
		"carriage return in a value":      withGet("a: b\rc"),
		"NUL in a value":                  withGet("a: b\x00c"),
		"space before a value":            withGet("a:  b"),
		"tab after a value":               withGet("a: b\t"),
		"Connection":                      withGet("connection: close"),
		"Keep-Alive":                      withGet("keep-alive: 1"),
		"Proxy-Connection":                withGet("proxy-connection: close"),
		"Transfer-Encoding":               withGet("transfer-encoding: chunked"),
		"Upgrade":                         withGet("upgrade: websocket"),
		"TE":                              withGet("te: gzip"),
		"another Host":                    withGet("host: other"),
		"two Hosts":                       withGet("host: example.com", "host: example.com"),
		"Content-Length twice":            withGet("content-length: 1", "content-length: 1"),
		"negative Content-Length":         withGet("content-length: -1"),
		"Content-Length with a sign":      withGet("content-length: +1"),
		"Content-Length beyond 63 bits":   withGet("content-length: 9223372036854775808"),
		"CONNECT with a path":             fields(":method: CONNECT", ":authority: a:1", ":path: /"),
		"CONNECT without an authority":    fields(":method: CONNECT"),
		"WebSocket by GET":                append(fields(":protocol: websocket"), withGet()...),
		"WebSocket without an authority":  fields(":method: CONNECT", ":protocol: websocket", ":scheme: https", ":path: /", "host: a"),
		"WebSocket without a path":        fields(":method: CONNECT", ":protocol: websocket", ":scheme: https", ":authority: a"),
	} {
		if r, _, err := newRequest(list, false); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if _, _, err := newRequest(withGet("content-length: 1"), true); err == nil {
		t.Error("Content-Length without a body")
	}
}
