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

var errRebound = errors.New("pages of another host than localhost may connect only if -allow-origin names it")

// checkHost refuses a page of the same host on the loopback interface if that host isn't this machine. A
// browser can be made to believe that any name is that of 127.0.0.1 (DNS rebinding); the Host header of
// the request then has that name, too.
func checkHost(r *http.Request) error {
	if len(r.Header["Origin"]) > 0 && !isLoopback(r.Host) {
		return errRebound
	}
	return nil
}

// isLoopback reports whether a Host header names this machine.
func isLoopback(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	ip := net.ParseIP(name)
	return strings.EqualFold(name, "localhost") || ip != nil && ip.IsLoopback()
}
