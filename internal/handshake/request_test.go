package handshake

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

func TestHostHeader(t *testing.T) {
	tests := []struct {
		host   string
		port   int
		secure bool
		want   string
	}{
		{"example.com", 0, false, "example.com"},
		{"example.com", 80, false, "example.com"},
		{"example.com", 443, true, "example.com"},
		{"example.com", 443, false, "example.com:443"},
		{"example.com", 80, true, "example.com:80"},
		{"example.com", 8080, true, "example.com:8080"},
		{"127.0.0.1", 9000, false, "127.0.0.1:9000"},
		{"::1", 0, false, "[::1]"},
		{"[::1]", 80, false, "[::1]"},
		{"::1", 9000, false, "[::1]:9000"},
		{"fe80::1%eth0", 9000, false, "[fe80::1]:9000"},
	}
	for _, test := range tests {
		if got := HostHeader(test.host, test.port, test.secure); got != test.want {
			t.Errorf("HostHeader(%q, %d, %v) = %q, want %q", test.host, test.port, test.secure, got, test.want)
		}
	}
}

func TestCheckRefusesWhatMustNotBeSent(t *testing.T) {
	header := func(name, value string) Request {
		return Request{Host: "h", Header: http.Header{name: {value}}}
	}
	tests := []struct {
		name string
		r    Request
		text string
	}{
		{"Host set by hand", header("Host", "x"), "header Host is set implicitly"},
		{"Upgrade set by hand", header("upgrade", "x"), "header upgrade is set implicitly"},
		{"Connection set by hand", header("Connection", "x"), "header Connection"},
		{"key set by hand", header("Sec-WebSocket-Key", "x"), "header Sec-WebSocket-Key"},
		{"subprotocol set by hand", header("sec-websocket-protocol", "x"), "header sec-websocket-protocol"},
		{"body announced", header("Content-Length", "5"), "header Content-Length"},
		{"CR in a value", header("X", "a\rb"), "value of header X"},
		{"LF in a value", header("X", "a\nEvil: 1"), "value of header X"},
		{"NUL in a value", header("X", "a\x00"), "value of header X"},
		{"LF in a name", header("X\nEvil", "1"), "header name"},
		{"colon in a name", header("X:", "1"), "header name"},
		{"empty name", header("", "1"), "header name"},
		{"no host", Request{}, "host"},
		{"CR LF in the host", Request{Host: "h\r\nEvil: 1"}, "host"},
		{"path in the host", Request{Host: "h/x"}, "host"},
		{"LF in the target", Request{Host: "h", Target: "/\nx"}, "target"},
		{"space in the target", Request{Host: "h", Target: "/a b"}, "target"},
		{"fragment in the target", Request{Host: "h", Target: "/#x"}, "target"},
		{"target that is no path", Request{Host: "h", Target: "x"}, "target"},
		{"bad escape in the target", Request{Host: "h", Target: "/%zz"}, "target"},
		{"subprotocol with a comma", Request{Host: "h", Subprotocols: []string{"a,b"}}, "subprotocol"},
		{"empty subprotocol", Request{Host: "h", Subprotocols: []string{""}}, "subprotocol"},
		{"subprotocol twice", Request{Host: "h", Subprotocols: []string{"a", "a"}}, "twice"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.r.Check()
			if !errors.As(err, new(*HandshakeError)) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("%v, want a HandshakeError that says %q", err, test.text)
			}
			if strings.ContainsAny(err.Error(), "\r\n\x00") {
				t.Errorf("%q repeats control characters", err)
			}
		})
	}
}

func TestClientRefusesABadTarget(t *testing.T) {
	if _, err := Client(t.Context(), nil, &Request{Host: "h", Target: "\n"}); !errors.As(err, new(*HandshakeError)) {
		t.Error(err)
	}
}

func TestCheckAllowsOrdinaryRequests(t *testing.T) {
	for _, r := range []Request{
		{Host: "h"},
		{Host: "[::1]:80", Target: "//double?q=%2F;x"},
		{Host: "h", Header: http.Header{"Origin": {"https://x"}, "Cookie": {"a=b; c=d"}, "User-Agent": {"x/1 (y)"}}},
		{Host: "h", Subprotocols: []string{"mqtt", "v2.chat"}},
	} {
		if err := r.Check(); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
		if u, err := r.url(); err != nil || r.Target != "" && u.RequestURI() != r.Target {
			t.Errorf("target %q becomes %q, %v", r.Target, u.RequestURI(), err)
		}
	}
}
