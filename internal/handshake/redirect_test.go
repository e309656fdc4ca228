package handshake

import (
	"errors"
	"net/http"
	"testing"

	"github.com/seed004e8d11/websock/internal/endpoint"
)

func TestRedirectTarget(t *testing.T) {
	tests := []struct {
		from, location string
		status         int
		want           string // "": not a redirect
		fails          bool
	}{
		{"ws://h/a", "ws://other:81/b?c", 301, "ws://other:81/b?c", false},
		{"ws://h/a", "http://other/b", 302, "ws://other/b", false},
		{"ws://h/a", "https://other/b#f", 303, "wss://other/b", false},
		{"ws://h/a/b", "../c", 307, "ws://h/c", false},
		{"wss://h/a", "//other/x", 308, "wss://other/x", false},
		{"wss://h/a", "ws://h/a", 301, "", true},
		{"ws://h/a", "ftp://h/a", 301, "", true},
		{"ws://h/a", "", 301, "", true},
		{"ws://h/a", "http:///b", 301, "", true},
		{"ws://h/a", "ws:b", 301, "", true},
		{"ws://h/a", "ws://other/", 304, "", false},
		{"ws://h/a", "http://h\x7f/", 301, "", true},
		{"ws://h/a", "ws://other/", 200, "", false},
		{"ws://h/a", "ws://other/", 401, "", false},
	}
	for _, test := range tests {
		from, _ := endpoint.Parse(test.from)
		got, err := RedirectTarget(&from, &HandshakeError{Status: test.status, Header: http.Header{"Location": {test.location}}})
		switch {
		case (err != nil) != test.fails:
			t.Errorf("%s to %s: %v", test.from, test.location, err)
		case (got == nil) != (test.want == ""), got != nil && got.URL().String() != test.want:
			t.Errorf("%s to %s: %+v, want %q", test.from, test.location, got, test.want)
		}
	}
}

func TestARedirectThatIsNotFollowedHasTheResponse(t *testing.T) {
	from, _ := endpoint.Parse("wss://h/")
	refusal := &HandshakeError{Reason: "x", Status: 301, Header: http.Header{"Location": {"ws://h/"}}, Body: []byte("b")}
	_, err := RedirectTarget(&from, refusal)
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Status != 301 || failed.Header == nil || string(failed.Body) != "b" || failed.Reason == "x" {
		t.Errorf("%+v", err)
	}
}

func TestStripCredentialsKeepsOtherHeaders(t *testing.T) {
	h := http.Header{"Authorization": {"x"}, "cookie": {"x"}, "Proxy-Authorization": {"x"}, "X-Own": {"y"}}
	stripped := StripCredentials(h)
	if len(stripped) != 1 || stripped.Get("X-Own") != "y" {
		t.Errorf("%v", stripped)
	}
	if len(h) != 4 {
		t.Error("the original was changed")
	}
}
