package main

import "testing"

func TestResolveSaysWhichAddressAHostHas(t *testing.T) {
	r := resolver{}
	for _, text := range []string{
		"a.example:192.0.2.1", "A.example:8080:192.0.2.2", "six.example:[2001:db8::1]", "[six.example]:80:[2001:db8::2]", "bare.example:fd00::1",
		"port.example:80:::1", "[2001:DB8::0:9]:443:192.0.2.3", "last.example:192.0.2.4", "last.example:192.0.2.5", "b.example:[fe80::1]",
	} {
		if err := r.add(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for addr, want := range map[string]string{
		"a.example:80":      "192.0.2.1:80",
		"a.example:8080":    "192.0.2.2:8080",
		"A.EXAMPLE.:80":     "192.0.2.1:80",
		"six.example:443":   "[2001:db8::1]:443",
		"bare.example:443":  "[fd00::1]:443",
		"six.example:80":    "[2001:db8::2]:80",
		"port.example:80":   "[::1]:80",
		"port.example:81":   "port.example:81",
		"[2001:db8::9]:443": "192.0.2.3:443",
		"[2001:db8::9]:80":  "[2001:db8::9]:80",
		"last.example:80":   "192.0.2.5:80",
		"b.example:80":      "[fe80::1]:80",
		"other.example:80":  "other.example:80",
		"no port":           "no port",
	} {
		if got := r.address(addr); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

func TestResolveRefusesOtherForms(t *testing.T) {
	for _, text := range []string{
		"", "a.example", "a.example:", ":192.0.2.1", "a.example:b.example", "a.example:80:b.example", "a.example:0:192.0.2.1",
		"a.example:65536:192.0.2.1", "a.example:http:192.0.2.1", "a.example:[::1", "[::1]:80", "[::1:192.0.2.1", "a.example:80:192.0.2.1:80",
		"a.example:443:1::2", "a.example:2001:db8::1", // with a port, or not
	} {
		if r := (resolver{}); r.add(text) == nil {
			t.Errorf("%q: %v", text, r)
		}
	}
}
