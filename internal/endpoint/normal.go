package endpoint

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/idna"
)

// ASCIIHost returns a host name in lower-case ASCII, an international name in Punycode (RFC 5891), and
// an IP address in canonical form, without brackets and with its zone.
func ASCIIHost(host string) (string, error) {
	if _, port, err := net.SplitHostPort(host); err == nil && port != "" {
		return "", fmt.Errorf("host %q includes a port, which belongs in Port", host)
	}
	bare := host
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if bare, ok = strings.CutSuffix(inner, "]"); !ok {
			return "", fmt.Errorf("host %q has no closing bracket", host)
		}
	}
	if bare == "" {
		return "", errNoHost
	}
	if addr, err := netip.ParseAddr(bare); err == nil {
		if !validZone(addr.Zone()) {
			return "", fmt.Errorf("host %q has an impossible zone", host)
		}
		return addr.String(), nil
	}
	if !isASCII(bare) {
		name, err := idna.Lookup.ToASCII(bare)
		if err != nil {
			return "", fmt.Errorf("host %q: %w", host, err)
		}
		bare = name
	}
	if bare == "" || host[0] == '[' || !httpguts.ValidHostHeader(bare) || strings.ContainsAny(bare, ":/?#@\\[]%") {
		return "", fmt.Errorf("host %q is neither a name nor an IP address", host)
	}
	return strings.ToLower(bare), nil
}

// validZone reports whether a zone can be the name or number of an interface.
func validZone(zone string) bool {
	return isASCII(zone) && httpguts.ValidHostHeader(zone) && !strings.ContainsAny(zone, "[]/?#@\\")
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c >= 0x80 })
}

// target returns a path with query as a request target (RFC 9112 section 3.2.1).
func target(path string) (string, error) {
	switch {
	case path == "", path == "/":
		return "/", nil
	case strings.Contains(path, "#"):
		return "", errors.New("fragment in the path")
	case path[0] != '/':
		return "", errTarget
	}
	path = escape(path)
	if _, err := url.ParseRequestURI(path); err != nil {
		return "", withoutURL(err)
	}
	return path, nil
}

// escape percent-encodes characters that are invalid in a URL but common in practice: spaces,
// characters outside ASCII and some punctuation. It doesn't change control characters, which the
// parser rejects, and what is already encoded. If s is a whole URL, escape encodes the host, too, and
// the parser decodes it.
func escape(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	query, copied := false, 0
	for i := range len(s) {
		c := s[i]
		query = query || c == '?'
		if c >= 0x80 || strings.IndexByte(` "<>`, c) >= 0 || !query && strings.IndexByte("\\^`{|}", c) >= 0 {
			b.WriteString(s[copied:i])
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
			copied = i + 1
		}
	}
	if copied == 0 { // as usual
		return s
	}
	b.WriteString(s[copied:])
	return b.String()
}

// withoutURL returns the cause of an error of url.Parse, without the URL, which may contain secrets.
func withoutURL(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}
