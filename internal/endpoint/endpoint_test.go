package endpoint

import (
	"net/url"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, test := range []struct{ url, address, host, target, again string }{
		{"ws://h", "h:80", "h", "/", "ws://h/"},
		{"wss://h/", "h:443", "h", "/", "wss://h/"},
		{"http://h/a", "h:80", "h", "/a", "ws://h/a"},
		{"https://h:8443/a", "h:8443", "h:8443", "/a", "wss://h:8443/a"},
		{"WS://H.Example:80?q", "h.example:80", "h.example", "/?q", "ws://h.example/?q"},
		{"ws://h:443/", "h:443", "h:443", "/", "ws://h:443/"},
		{"ws://h:/", "h:80", "h", "/", "ws://h/"},
		{"ws://h/?", "h:80", "h", "/?", "ws://h/?"},
		{"ws://h//a//b", "h:80", "h", "//a//b", "ws://h//a//b"},

		// International names.
		{"ws://bücher.example/", "xn--bcher-kva.example:80", "xn--bcher-kva.example", "/", "ws://xn--bcher-kva.example/"},
		{"wss://BÜCHER.Example:9/", "xn--bcher-kva.example:9", "xn--bcher-kva.example:9", "/", "wss://xn--bcher-kva.example:9/"},
		{"ws://例え。テスト/", "xn--r8jz45g.xn--zckzah:80", "xn--r8jz45g.xn--zckzah", "/", "ws://xn--r8jz45g.xn--zckzah/"},
		{"ws://b%C3%BCcher.example/", "xn--bcher-kva.example:80", "xn--bcher-kva.example", "/", "ws://xn--bcher-kva.example/"},
		{"ws://a_b.example/", "a_b.example:80", "a_b.example", "/", "ws://a_b.example/"},

		// Only what is not encoded is encoded.
		{"ws://h/a b?c d=ü", "h:80", "h", "/a%20b?c%20d=%C3%BC", "ws://h/a%20b?c%20d=%C3%BC"},
		{"ws://h/ü%2f%C3%BC?x=%zz+%2F", "h:80", "h", "/%C3%BC%2f%C3%BC?x=%zz+%2F", "ws://h/%C3%BC%2f%C3%BC?x=%zz+%2F"},
		{"ws://h/{a}%2Fb?{a}|'", "h:80", "h", "/%7Ba%7D%2Fb?{a}|'", "ws://h/%7Ba%7D%2Fb?{a}|'"},
		{"ws://h/a?\xff", "h:80", "h", "/a?%FF", "ws://h/a?%FF"},
		{"ws://h/a?b=\"<>", "h:80", "h", "/a?b=%22%3C%3E", "ws://h/a?b=%22%3C%3E"},

		// Addresses.
		{"ws://192.0.2.1:81/", "192.0.2.1:81", "192.0.2.1:81", "/", "ws://192.0.2.1:81/"},
		{"ws://[2001:DB8:0::1]/", "[2001:db8::1]:80", "[2001:db8::1]", "/", "ws://[2001:db8::1]/"},
		{"ws://[fe80::1%25Eth0]:8080/a", "[fe80::1%Eth0]:8080", "[fe80::1]:8080", "/a", "ws://[fe80::1%25Eth0]:8080/a"},
		{"ws://[fe80::1%25eth0]/a", "[fe80::1%eth0]:80", "[fe80::1]", "/a", "ws://[fe80::1%25eth0]/a"},

		// Unix sockets.
		{"ws+unix:///run/a b.sock:/chat?x=ü", "/run/a b.sock", "localhost", "/chat?x=%C3%BC", "ws://localhost/chat?x=%C3%BC"},
		{"wss+unix:///run/a%20b.sock", "/run/a b.sock", "localhost", "/", "wss://localhost/"},
	} {
		e, err := Parse(test.url)
		if err != nil {
			t.Errorf("%s: %v", test.url, err)
			continue
		}
		if got := e.Address(); got != test.address {
			t.Errorf("%s: address %q, want %q", test.url, got, test.address)
		}
		if got := e.HostHeader(); got != test.host {
			t.Errorf("%s: Host %q, want %q", test.url, got, test.host)
		}
		if e.Target != test.target {
			t.Errorf("%s: target %q, want %q", test.url, e.Target, test.target)
		}
		if got := e.URL().String(); got != test.again {
			t.Errorf("%s: URL %q, want %q", test.url, got, test.again)
		}
	}
}

func TestAnAddressWithoutASchemeIsCalledSo(t *testing.T) {
	for _, rawURL := range []string{"", "h", "h:80", "h/path", "localhost:80/path", "127.0.0.1:80/path", "[::1]:80", "ws:h"} {
		if _, err := Parse(rawURL); err != errNoScheme {
			t.Errorf("%q: %v", rawURL, err)
		}
	}
}

func TestParseRejects(t *testing.T) {
	for _, rawURL := range []string{
		"", "h", "h:80", "ftp://h/", "ws:", "ws:h", "ws://", "ws:///path", "ws://:80/",
		"ws://h:0/", "ws://h:65536/", "ws://h:-1/", "ws://h:x/",
		"ws://user@h/", "ws://user:secret@h/", "ws://:secret@h/", "ws://@h/", `ws://good\@evil/`,
		"ws://h/#f", "ws://h/#", "ws://h#", "ws://#", "ws://h/?#", "ws+unix:///s.sock:/#",
		"ws://h\n/", "ws://h/\r\nX: y", "ws://h/\x00", "ws://h/\x7f", "ws://h/a?\t", "ws://h/%zz",
		"ws://a b/", "ws://a%20b/", "ws://[::1/", "ws://[h]/", "ws://::1/", "ws://[::1%25a%20b]/", "ws://-ü-/", "ws://\u034f/",
		"ws+unix://", "ws+unix://host/path", "ws+unix:///a\n.sock",
	} {
		if e, err := Parse(rawURL); err == nil {
			t.Errorf("%q is taken for %+v", rawURL, e)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error tells a password: %v", rawURL, err)
		}
	}
}

func TestNew(t *testing.T) {
	for _, test := range []struct {
		host   string
		port   int
		path   string
		secure bool
		want   string // address, Host and target; "": rejected
	}{
		{"h", 0, "", false, "h:80 h /"},
		{"h", 0, "", true, "h:443 h /"},
		{"Bücher.example", 81, "/a b?c=ü", false, "xn--bcher-kva.example:81 xn--bcher-kva.example:81 /a%20b?c=%C3%BC"},
		{"::1", 80, "/", false, "[::1]:80 [::1] /"},
		{"[fe80::1%eth0]", 9, "/", true, "[fe80::1%eth0]:9 [fe80::1]:9 /"},
		{"h", -1, "", false, ""},
		{"h", 65536, "", false, ""},
		{"", 0, "", false, ""},
		{"h:80", 0, "", false, ""},
		{"h/a", 0, "", false, ""},
		{"u@h", 0, "", false, ""},
		{"[::1", 0, "", false, ""},
		{"[h]", 0, "", false, ""},
		{"h\r\nX: y", 0, "", false, ""},
		{"fe80::1%a\r\nb", 0, "", false, ""},
		{"h", 0, "a", false, ""},
		{"h", 0, "?a", false, ""},
		{"h", 0, "/#", false, ""},
		{"h", 0, "/a HTTP/1.1\r\nX: y", false, ""},
		{"h", 0, "/%zz", false, ""},
	} {
		e, err := New(test.host, test.port, test.path, test.secure)
		switch got := e.Address() + " " + e.HostHeader() + " " + e.Target; {
		case err != nil && test.want != "":
			t.Errorf("%+v: %v", test, err)
		case err == nil && got != test.want:
			t.Errorf("%+v: %s", test, got)
		}
	}
}

func TestProxy(t *testing.T) {
	for _, test := range []struct {
		url     string
		address string // "": rejected
		secure  bool
	}{
		{"http://proxy", "proxy:80", false},
		{"https://user:secret@Proxy.example/", "proxy.example:443", true},
		{"socks5://proxy", "proxy:1080", false},
		{"socks5h://proxy:9050", "proxy:9050", false},
		{"http://bücher.example:3128", "xn--bcher-kva.example:3128", false},
		{"http://[2001:DB8::1]:3128/", "[2001:db8::1]:3128", false},
		{"http://proxy:/", "proxy:80", false},
		{"http://proxy:0", "", false},
		{"http://proxy:65536", "", false},
		{"http://:3128", "", false},
		{"http://a%20b", "", false},
		{"ws://proxy", "", false},
		{"proxy:3128", "", false},
		{"//proxy:3128", "", false},
	} {
		u, err := url.Parse(test.url)
		if err != nil {
			u = &url.URL{Scheme: "http"}
		}
		e, err := Proxy(u)
		switch {
		case (err != nil) != (test.address == ""):
			t.Errorf("%s: %v", test.url, err)
		case err == nil && (e.Address() != test.address || e.Secure != test.secure):
			t.Errorf("%s: %+v", test.url, e)
		}
	}
}

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
		e, err := New(test.host, test.port, "", test.secure)
		if got := e.HostHeader(); got != test.want || err != nil {
			t.Errorf("the Host header of %q, %d, %v is %q, want %q; %v", test.host, test.port, test.secure, got, test.want, err)
		}
	}
}

func TestRedirect(t *testing.T) {
	for _, test := range []struct{ from, location, want string }{
		{"ws://h/a", "ws://other:81/b?c", "ws://other:81/b?c"},
		{"ws://h/a/b", "../c", "ws://h/c"},
		{"ws://h/a?x", "?y z", "ws://h/a?y%20z"},
		{"ws://h/a", "/ü b?ü", "ws://h/%C3%BC%20b?%C3%BC"},
		{"ws://h/a", "http://bücher.example/", "ws://xn--bcher-kva.example/"},
		{"wss://h/a", "//other/x#f", "wss://other/x"},
		{"ws://[fe80::1%25eth0]:81/a", "b", "ws://[fe80::1%25eth0]:81/b"},
		{"ws://[fe80::1%25eth0]/a", "/b#", "ws://[fe80::1%25eth0]/b"},
		{"ws://h/a", "https://h/a", "wss://h/a"},
		{"wss://h/a", "ws://h/a", ""},
		{"wss://h/a", "http://h/a", ""},
		{"ws://h/a", "", ""},
		{"ws://h/a", "#x", ""},
		{"ws://h/a", "ws:b", ""},
		{"ws://h/a", "ftp://h/a", ""},
		{"ws://h/a", "ws+unix:///run/docker.sock:/", ""},
		{"ws://h/a", "//user:secret@h/", ""},
		{"ws://h/a", "//h:99999/", ""},
		{"ws+unix:///s.sock:/a", "/b", ""},
		{"ws+unix:///s.sock:/a", "ws://h/", ""},
	} {
		from, err := Parse(test.from)
		if err != nil {
			t.Fatal(err)
		}
		next, err := from.Redirect(test.location)
		switch {
		case err != nil && test.want != "":
			t.Errorf("%s to %s: %v", test.from, test.location, err)
		case err == nil && next.URL().String() != test.want:
			t.Errorf("%s to %s: %s, want %s", test.from, test.location, next.URL(), test.want)
		}
	}
}

func TestSameOriginAndSecures(t *testing.T) {
	for _, test := range []struct {
		a, b          string
		same, secures bool
	}{
		{"ws://h/a", "ws://H:80/b", true, false},
		{"wss://h:443/", "https://h/", true, false},
		{"wss://h:443/", "wss://h/", true, false},
		{"ws://h/", "wss://h/", false, true},
		{"ws://h:8080/", "wss://h:8443/", false, true},
		{"wss://h/", "ws://h/", false, false},
		{"ws://h/", "ws://h:81/", false, false},
		{"ws://h/", "ws://h.evil/", false, false},
		{"ws://h/", "wss://h.evil/", false, false},
		{"ws://bücher.example/", "ws://xn--bcher-kva.example/", true, false},
	} {
		a, _ := Parse(test.a)
		b, _ := Parse(test.b)
		if same, secures := a.SameOrigin(&b), a.Secures(&b); same != test.same || secures != test.secures {
			t.Errorf("%s and %s: %v %v", test.a, test.b, same, secures)
		}
	}
}
