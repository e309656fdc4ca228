package listen

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// AnyOrigin allows the pages of all sites.
const AnyOrigin = "*"

// CheckOrigin returns what is wrong with one of Options.Origins: it is AnyOrigin, or a scheme and a host, with
// a port that isn't the scheme's own.
func CheckOrigin(origin string) error {
	if origin == AnyOrigin {
		return nil
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || !strings.EqualFold(origin, u.Scheme+"://"+u.Host) {
		return fmt.Errorf("%q is no origin, such as https://app.example.com", origin)
	}
	return nil
}

// isListed reports whether a request is from a page of one of the origins, or from no page at all.
func isListed(r *http.Request, origins []string) bool {
	sent := r.Header["Origin"]
	if len(sent) == 0 || slices.Contains(origins, AnyOrigin) {
		return true
	}
	return len(sent) == 1 && slices.ContainsFunc(origins, func(one string) bool { return strings.EqualFold(one, sent[0]) })
}

var errRebound = errors.New("pages of a host with a name may connect only if -allow-origin has them")

// checkHost refuses a page of the same host if that has a name, other than localhost. Whoever owns a name can
// make browsers believe that it is that of any address, such as 127.0.0.1 (DNS rebinding); the Host header
// of the request then has that name, too.
func checkHost(r *http.Request) error {
	if len(r.Header["Origin"]) > 0 && !isAddress(r.Host) {
		return errRebound
	}
	return nil
}

// isAddress reports whether a Host header has an IP address or localhost.
func isAddress(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	return strings.EqualFold(name, "localhost") || net.ParseIP(name) != nil
}
