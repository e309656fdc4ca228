package endpoint

import (
	"strings"
	"testing"

	"golang.org/x/net/http/httpguts"
)

// FuzzParse checks that the endpoint of any URL can be sent, and that its URL has the same endpoint.
func FuzzParse(f *testing.F) {
	for _, url := range []string{
		"ws://h:81/a b?c=ü#", "wss://bücher.example/%2f", "ws+unix:///run/a b.sock:/x?y", "http://[fe80::1%25eth0]:1/?", "ws://u:p@h\\/",
	} {
		f.Add(url, "../a?b")
	}
	f.Fuzz(func(t *testing.T, url, location string) {
		e, err := Parse(url)
		if err != nil {
			return
		}
		check(t, &e)
		next, err := e.Redirect(location)
		if err != nil {
			return
		}
		check(t, &next)
		if e.Secure && !next.Secure {
			t.Errorf("%q leads from %q to %q", location, e.URL(), next.URL())
		}
	})
}

func check(t *testing.T, e *Endpoint) {
	t.Helper()
	if host := e.HostHeader(); host == "" || !httpguts.ValidHostHeader(host) || strings.ContainsAny(host, "/?#@\\ %") {
		t.Errorf("Host %q of %+v", host, e)
	}
	if strings.ContainsFunc(e.Target, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' }) || e.Target[0] != '/' {
		t.Errorf("target %q", e.Target)
	}
	if e.Network == "unix" {
		return
	}
	again, err := Parse(e.URL().String())
	if err != nil || again != *e {
		t.Errorf("%+v is %q, which is %+v, %v", e, e.URL(), again, err)
	}
}
